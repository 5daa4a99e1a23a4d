"""SPARC: each word of a caption gathers the few patches it is about, and is told from the other words by them.

Bica et al., "Improving fine-grained understanding in image-text pre-training", 2024.

    L = g L_global + f L_fine,    L_global: InfoNCE of the pooled vectors over the batch
    s_lp = <t_l, v_p>,  s' = (s - min_p s) / (max_p s - min_p s),  s'' = s' where s' >= 1/P, else 0
    c_l = sum_p  s''_lp v_p / sum_q s''_lq                        the patches of word l, as one vector
    L_fine = -1/2  mean over words  ( log softmax_k(tau <c_l, t_k>)_l + log softmax_k(tau <t_l, c_k>)_l )

t: the words of a caption; v: the P patches of its image, in the shared space by the maps of the pooled vectors; c and t
are unit vectors in the last line, k runs over the words of the same caption, padding aside, and tau is the model's
scale. The mean is over all words of the batch, so that a longer caption counts more. Every caption of an image has its
own words; hard negative captions take no part in L_fine.

The authors published no code. The formulas agree with the paper's pseudocode as public reimplementations carry it; the
weights g and f are ours (1 and 1): the paper's could not be read. Differs from FILIP in that words meet the patches of
their own image only: its cost grows with the batch and not with its square. Evaluation compares the pooled vectors.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.grouping import grouped, told_apart
from dovetail.ops.means import weighted_mean


@implements(Objective)
class SPARC(nn.Module):
    """A pair loss over pooled vectors, and a contrast of words within each caption.

    Args:
        whole: weight of the first term (g).
        fine: weight of the second (f).
        loss: what one row of scores costs in the first term; None: InfoNCE, as in the paper.
    """

    requires = ()

    def __init__(self, whole: float = 1.0, fine: float = 1.0, loss: PairLoss | None = None):
        super().__init__()
        self.whole, self.fine = whole, fine
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers, for their tokens too."""
        return encoded(model, batch, tokens=True)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        images, texts = sides(outputs, batch)
        whole = contrast(images, texts, self.similarity, self.loss, outputs.scale, outputs.bias)
        with torch.autocast(batch.images.device.type, enabled=False):
            (patches, seen), (words, said) = (_tokens(side.features) for side in (images, texts))
            owner = batch.captions.owner
            costs = told_apart(grouped(words, patches[owner], seen[owner]), words, said, outputs.scale)
            weights = texts.weights.to(costs.dtype)[:, None] * said
            fine = weighted_mean(costs, weights)
        return {"contrastive": self.whole * whole, "fine-grained": self.fine * fine}


def _tokens(features: Features) -> tuple[Float[Tensor, "b n d"], Bool[Tensor, "b n"]]:
    """The tokens in full precision, and which of them are real."""
    x = features.tokens
    assert x is not None
    real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if features.mask is None else features.mask
    return wide(x), real
