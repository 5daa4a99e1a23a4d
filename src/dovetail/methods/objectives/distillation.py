"""CLIP-KD: a small model learns from a large one what it says of images and captions, and how alike it finds them.

Yang et al., "CLIP-KD: An Empirical Study of CLIP Model Distillation", 2024.

    L = L_CLIP + f L_feature + r L_relation + i L_interaction
    L_feature = mean |x - x'|^2 / d + mean |y - y'|^2 / d                                        feature distillation
    L_relation = CE(softmax(t' <x', y'>), softmax(t <x, y>)), over images and over captions      relational (CRD)
    L_interaction = (InfoNCE of x among y' + InfoNCE of y among x') / 2                          interactive (ICL)

x, y: the pupil's vectors of an image and a caption, x', y' (d numbers), t': the teacher's, all of unit length. Where
the teacher's have another length, the pupil's pass a linear map before they are compared with them; it is the
objective's and is not kept. Confirmed against the authors' code: f = 2000, r = i = 1, the means over the batch and the
numbers of a vector, the maps, and that L_interaction has a scale of its own. There that scale is the logarithm of
1 / 0.07, not its exponential, which reads like a slip; here it starts at 1 / 0.07. L_relation differs from their KL
divergence by the teacher's entropy, which has no gradient.

Hard negative captions are columns that ask nothing. The teacher sees the pupil's crop and words (`models.teacher`); it
is frozen, its cost that of its towers without a backward pass.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.teacher import FrozenTeacher
from dovetail.nn.repeatable import repeatable
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.sides import Side
from dovetail.ops.similarity import normalize
from dovetail.ops.soft import taught


@dataclass(frozen=True)
class Told:
    """What the pupil says of a batch, and what the teacher does."""

    pupil: Encoded
    teacher: Encoded


@implements(Objective)
class Distillation(nn.Module):
    """A pair loss, and three losses towards a frozen teacher.

    Args:
        teacher: a trained model by its folder, file or hub id; None: the model itself as training begins.
        feature: weight of the distance of the vectors (f).
        relation: weight of the cross-entropy of the similarities (r).
        interaction: weight of the contrast with the teacher's vectors (i).
        loss: what one row of scores costs in the contrasts; None: InfoNCE, as in the paper.
    """

    requires = ()

    def __init__(
        self,
        teacher: str | None = None,
        feature: float = 2000.0,
        relation: float = 1.0,
        interaction: float = 1.0,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.teacher, self.feature, self.relation, self.interaction = teacher, feature, relation, interaction
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity, self.apart = build("cosine"), build("infonce", PairLoss)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Loads the teacher, and makes the maps where its vectors have another length."""
        name = self.teacher
        self.frozen = FrozenTeacher.copy_of(model) if name is None else FrozenTeacher.named(name, model)
        width = self.frozen.model.embed_dim
        with repeatable():
            maps = [nn.Identity() if width == model.embed_dim else nn.Linear(model.embed_dim, width) for _ in range(2)]
        self.maps = nn.ModuleList(maps).to(model.log_scale)

    def encode(self, model: DualEncoder, batch: Batch) -> Told:
        """Runs the pupil's towers and the teacher's."""
        frozen = self.frozen
        images, texts = frozen.image_features(batch.images), frozen.text_features(batch.captions.tokens)
        # No more than the vectors: tokens would be joined, though nothing reads them.
        teacher = Encoded(Features(images.pooled), Features(texts.pooled), frozen.model.scale.detach(), None)
        return Told(encoded(model, batch, tokens=False), teacher)

    def terms(self, outputs: Told, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """All four, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        pupil, teacher = outputs.pupil, outputs.teacher
        ours, theirs = sides(pupil, batch), sides(teacher, batch)
        apart = contrast(*ours, self.similarity, self.loss, pupil.scale, pupil.bias)
        with torch.autocast(batch.images.device.type, enabled=False):
            wanted = [wide(side.features.pooled) for side in theirs]
            mapped = [f(wide(side.features.pooled)) for f, side in zip(self.maps, ours, strict=True)]
            feature = torch.stack([_distance(x, t, s) for x, t, s in zip(mapped, wanted, ours, strict=True)]).sum()
            relation = taught(*ours, (wanted[0], wanted[1]), self.similarity, pupil.scale, teacher.scale)
            asking = [replace(side, features=Features(x)) for side, x in zip(ours, mapped, strict=True)]
            interaction = self._one_way(asking[0], theirs[1]) + self._one_way(asking[1], theirs[0])
        return {
            "contrastive": apart,
            "feature": self.feature * feature,
            "relation": self.relation * relation,
            "interaction": self.interaction * interaction,
        }

    def _one_way(self, asking: Side, asked: Side) -> Float[Tensor, ""]:
        """Half of the loss of the rows: the engine's mean over both directions, of which the second asks nothing."""
        silent = replace(asked, weights=torch.zeros_like(asked.weights))
        return contrast(asking, silent, self.similarity, self.apart, self.log_scale.exp())


def _distance(x: Float[Tensor, "n d"], t: Float[Tensor, "n d"], side: Side) -> Float[Tensor, ""]:
    """The mean square of the difference of unit vectors."""
    return weighted_mean((normalize(x) - normalize(t)).square().mean(1), side.weights.to(x))
