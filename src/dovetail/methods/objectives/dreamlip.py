"""DreamLIP: every sentence of a long description is a caption of the image, and of the patches it speaks of.

Zheng et al., "DreamLIP: Language-Image Pre-training with Long Captions", 2024.

    L = L_contrastive + w L_grouping
    L_contrastive: InfoNCE of images and captions, of which each image has several, both directions
    a_kp = <y_k, u_p>,  n_kp = (a_kp - min_p a_kp) / (max_p a_kp - min_p a_kp),  n_kp = 0 where below the threshold
    g_k = unit( sum_p n_kp u_p / sum_p n_kp ),    y_k: caption, u_p: patches of its own image, all of unit length
    L_grouping: InfoNCE of g_k and y_k over all captions of the batch, those of the same image too, both directions

The sub-captions are the image's captions in the batch (the authors draw six sentences and the caption from the web):
`--sub_captions` draws sentences of long ones anew each time. Hard negative captions are columns of the first term only,
and captions of another image with an equal id neither belong to a group nor stand against it.

Confirmed against the authors' code: the steps of the grouping, with gradients through all of them, and weights of 1.
Not confirmed: the paper's threshold (the code knows 0, 0.1 and, as the default here, one over the number of patches)
and the grouping's scale, which the code leaves open; here it is the model's. Patches enter the shared space by the map
of the pooled vector; in the code a map of their own is commented out. There an image meets only the captions that have
the same place in the others' lists; here, where captions have no order, all of them. Its grouping lays captions and
images out in different orders, so that most meet another image's patches; here each meets its own.

Memory: beside the engine's tiles, one number for each caption and patch of its image. Differs from `contrastive` in the
second term.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Kind, Objective, PairLoss
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import this_process
from dovetail.ops.features import wide
from dovetail.ops.grouping import grouped
from dovetail.ops.sides import NEITHER, Pairs, Side, same_ids
from dovetail.ops.similarity import normalize


@implements(Objective)
class DreamLIP(nn.Module):
    """InfoNCE with several captions of an image, and between each caption and its group of patches.

    Args:
        threshold: similarity, scaled to 0..1 over the patches, below which a patch is not of the group; None: one over
            the number of patches.
        weight: of the grouping.
    """

    requires = ("several captions",)

    def __init__(self, threshold: float | None = None, weight: float = 1.0):
        super().__init__()
        self.threshold, self.weight = threshold, weight
        self.loss = build("infonce", PairLoss)
        self.similarity = build("cosine")

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers; the patches come into the shared space too.

        Raises ValueError for an image tower whose patches the map of the pooled vector does not fit.
        """
        images = model.image_features(batch.images, tokens=True)
        return Encoded(images, model.text_features(batch.captions.tokens), model.scale, model.bias)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The contrastive term and the weighted grouping."""
        images, texts = sides(outputs, batch)
        whole = contrast(images, texts, self.similarity, self.loss, outputs.scale, outputs.bias)
        true = (batch.captions.kind != Kind.NEGATIVE).nonzero()[:, 0]
        owner = batch.captions.owner[true]
        with torch.autocast(batch.images.device.type, enabled=False):
            x = wide(outputs.texts.pooled)[true]
            groups = self._groups(normalize(x), owner, outputs.images)
        facts = torch.stack([torch.full_like(owner, this_process()), owner, true], 1).to(x.dtype)
        ids, weights = batch.ids[owner], texts.weights[true]
        left, right = (Side(Features(v), ids, weights, facts) for v in (groups, x))
        parts = contrast(left, right, self.similarity, self.loss, outputs.scale, outputs.bias, own_group)
        return {"contrastive": whole, "grouping": self.weight * parts}

    def _groups(
        self, captions: Float[Tensor, "t d"], owner: Int[Tensor, " t"], images: Features
    ) -> Float[Tensor, "t d"]:
        """The group of each caption, as a unit vector."""
        assert images.tokens is not None
        patches = normalize(wide(images.tokens))
        real = torch.ones_like(patches[..., 0]).bool() if images.mask is None else images.mask
        order = owner.argsort(stable=True)
        first = torch.searchsorted(owner[order], owner[order])
        place = torch.empty_like(owner).index_put((order,), torch.arange(len(owner), device=owner.device) - first)
        asking = captions.new_zeros(len(patches), int(place.max()) + 1, captions.shape[1])
        found = grouped(asking.index_put((owner, place), captions), patches, real, self.threshold)
        return normalize(found[owner, place])


def own_group(rows: Side, cols: Side) -> Pairs | None:
    """A group and its caption; facts: process, image and number of each caption."""
    found = same_ids(rows, cols)
    if found is None:
        return None
    assert rows.facts is not None and cols.facts is not None
    equal = rows.facts[found.at[0]] == cols.facts[found.at[1]]
    own, elsewhere = equal.all(1), ~equal[:, :2].all(1)
    kept = own | elsewhere
    targets = torch.where(own[kept, None], found.targets[kept], NEITHER)
    return replace(found, at=(found.at[0][kept], found.at[1][kept]), targets=targets) if len(targets) else None
