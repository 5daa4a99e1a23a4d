"""What a pupil pays for not expecting what its teacher sees: a cross-entropy with a sharper, centred teacher.

Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021 (DINO); over masked patches, Zhou et
al., "iBOT: Image BERT Pre-Training with Online Tokenizer", 2022.

    H = - sum_k  softmax((t - c) / T_t)_k  log softmax(s / T_s)_k
"""

from jaxtyping import Float
from torch import Tensor

from dovetail.ops.features import wide


def sharpened_cross_entropy(
    pupil: Float[Tensor, "n k"],
    teacher: Float[Tensor, "n k"],
    centre: Float[Tensor, " k"],
    temperatures: tuple[float, float],
) -> Float[Tensor, " n"]:
    """The cost of each row. temperatures: of the pupil (T_s) and of the teacher (T_t); no gradient reaches the
    teacher."""
    soft, sharp = temperatures
    wanted = ((wide(teacher.detach()) - centre) / sharp).softmax(1)
    return -(wanted * (wide(pupil) / soft).log_softmax(1)).sum(1)
