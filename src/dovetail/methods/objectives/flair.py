"""FLAIR: each caption looks at the image itself and gathers the patches it speaks of; that view must fit it alone.

Xiao et al., "FLAIR: VLM with Fine-grained Language-informed Image Representations", 2025.

    L = (L_tcs + L_mps) / 2
    v_ij = Attention(query: norm(t_j), keys, values: norm(patches of image i))    text-conditioned pooling
    L_tcs = sum_i  1/n_i  sum_j  w_ij log(1 + exp(-z_ij (tau cos(v_ij, t_j) + c)))
    L_mps = 1/t  sum_ij  log(1 + exp(-z_ij (tau cos(v_i, t_j) + c))),    z_ij = +1 for a caption of the image, else -1

t_j: the pooled vector of caption j of t, v_i: that of image i; patches: its tokens by the same map. The attention has
heads and one key and value of zeros, so that a caption may look at nothing. w_ij is 1 for a caption of the image, n_i
the sum of a row's w. Confirmed against the authors' code: the attention and its three norms, both sums and what they
are divided by, tau and c starting at 1 / 0.07 and -10. They draw one caption of each other image at random; here every
caption of it counts w_ij = 1 / (how many it has), which is the mean over such draws. Hard negative captions take no
part. Cutting long captions into sub-captions is the data's affair: `--sub_captions 8` draws as many as the authors do.

Cost: an attention of every caption over the patches of every image, a few images at a time. Differs from SigLIP in
L_tcs. The attention is kept with the model, as its similarity (`text_conditioned`): what is trained here is ranked by
the views, as its authors do. Pooled vectors alone, as `encode_image` gives them, are their global matching. The steps
of its claim are few for a sigmoid loss that starts at -10: of `siglip`'s, the references lie below InfoNCE's as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Kind, Objective, PairLoss, Similarity
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.nn.text_conditioned import TextConditionedPooling, fitness
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather, sum_over_processes, world_size
from dovetail.ops.features import wide
from dovetail.ops.sides import Side


@implements(Objective)
class FLAIR(nn.Module):
    """The sigmoid loss over text-conditioned views, and over pooled vectors with several positives.

    Args:
        heads: of the attention.
    """

    requires = ()

    def __init__(self, heads: int = 8):
        super().__init__()
        self.heads = heads
        self.loss: PairLoss = build(f"siglip(initial_scale={1 / 0.07}, initial_bias=-10.0)", PairLoss)
        self.pooled: Similarity = build("cosine", Similarity)

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Gives the model the attention, unless it has it from a training before, and one map for its images' vectors
        and patches. Raises DataError where the heads do not divide the embeddings, and for an image tower whose
        patches the map does not fit."""
        width = model.embed_dim
        if width % self.heads:
            raise DataError(f"flair(heads={self.heads}) does not divide embeddings of {width} numbers")
        if model.image.token_width != model.image.width:
            sizes = f"patches of {model.image.token_width} numbers and vectors of {model.image.width}"
            raise DataError(f"flair needs one map for both, but the image tower has {sizes}; take another, such as vit")
        known = getattr(model.alike, "pooling", None)
        if not isinstance(known, TextConditionedPooling) or known.heads != self.heads:
            kept: Any = build(f"text_conditioned(embed_dim={width}, heads={self.heads})", Similarity)
            model.alike, known = kept.to(model.log_scale), kept.pooling
        self.pooling = known
        shared, like = model.image_projection, model.log_scale
        model.image_token_projection = shared if isinstance(shared, nn.Linear) else _still(torch.eye(width)).to(like)
        # Nothing asks for the words of a text, but a similarity of tokens has a map of them too.
        model.text_token_projection = _still(torch.zeros(width, model.text.token_width)).to(like)

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers, the image tower for its tokens too."""
        images = model.image_features(batch.images, tokens=True)
        return Encoded(images, model.text_features(batch.captions.tokens), model.scale, model.bias)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, halved. The mean over processes is the value of the joined batch, and so are the gradients."""
        images, texts = sides(outputs, batch)
        silent = Side(images.features, images.ids, torch.zeros_like(images.weights))
        # The engine's mean over both directions, of which the images' asks nothing, is half of L_mps.
        several = contrast(silent, texts, self.pooled, self.loss, outputs.scale, outputs.bias)
        with torch.autocast(batch.images.device.type, enabled=False):
            seen = self._views(images, texts, (batch.captions.kind != Kind.NEGATIVE), outputs)
        return {"text-conditioned": seen / 2, "multi-positive": several}

    def _views(self, images: Side, texts: Side, true: Bool[Tensor, " t"], outputs: Encoded) -> Float[Tensor, ""]:
        every, ids = gather(wide(texts.features.pooled)), gather(texts.ids)
        own = images.ids[:, None] == ids[None, :]
        _, thing, count = ids.unique(return_inverse=True, return_counts=True)
        weights = torch.where(own, 1, 1 / count[thing].to(every.dtype)) * gather(true.to(every.dtype))
        rows = images.weights.to(every.dtype)
        share = sum_over_processes(rows.new_tensor(float(len(rows)))) / sum_over_processes(rows.sum())
        weights = weights * (rows * share / weights.sum(1).clamp_min(torch.finfo(rows.dtype).tiny))[:, None]
        patches = images.features.tokens
        assert patches is not None
        seen = fitness(self.pooling, replace(images.features, tokens=wide(patches)), Features(every))
        scores = outputs.scale * seen + (0 if outputs.bias is None else outputs.bias)
        return (weights * F.softplus(torch.where(own, -scores, scores))).sum() * world_size()


def _still(weight: Float[Tensor, "d e"]) -> nn.Linear:
    """A map that is not learnt."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=False).requires_grad_(False)
    made.weight.copy_(weight)
    return made
