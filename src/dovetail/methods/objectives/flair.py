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
L_tcs. Evaluation compares pooled vectors, as the authors' global matching does: the pooling is the objective's and is
not kept with the model. The claim measures no more than these; the views, by which the authors rank, it does not.
"""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Kind, Objective, PairLoss
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.nn.repeatable import repeatable
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather, sum_over_processes, world_size
from dovetail.ops.features import wide
from dovetail.ops.sides import Side
from dovetail.ops.similarity import normalize

AT_ONCE = 1 << 24  # numbers of the views that are made at once


class TextConditionedPooling(nn.Module):
    """Attention of each text over each image's patches, or over nothing."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.query_norm, self.key_norm, self.value_norm = (nn.LayerNorm(width) for _ in range(3))
        self.attention = nn.MultiheadAttention(width, heads, add_zero_attn=True, batch_first=True)

    def forward(
        self, texts: Float[Tensor, "t d"], patches: Float[Tensor, "b n d"], real: Bool[Tensor, "b n"] | None
    ) -> Float[Tensor, "b t d"]:
        """What every text sees in every image."""
        query = self.query_norm(texts).expand(len(patches), -1, -1)
        hidden = None if real is None else ~real
        keys, values = self.key_norm(patches), self.value_norm(patches)
        views: Tensor = self.attention(query, keys, values, key_padding_mask=hidden, need_weights=False)[0]
        return views


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
        self.similarity = build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the attention. Raises DataError where the heads do not divide the embeddings."""
        if model.embed_dim % self.heads:
            raise DataError(f"flair(heads={self.heads}) does not divide embeddings of {model.embed_dim} numbers")
        with repeatable():
            self.pooling = TextConditionedPooling(model.embed_dim, self.heads).to(model.log_scale)

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers, the image tower for its tokens too."""
        images = model.image_features(batch.images, tokens=True)
        return Encoded(images, model.text_features(batch.captions.tokens), model.scale, model.bias)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, halved. The mean over processes is the value of the joined batch, and so are the gradients."""
        images, texts = sides(outputs, batch)
        silent = Side(images.features, images.ids, torch.zeros_like(images.weights))
        # The engine's mean over both directions, of which the images' asks nothing, is half of L_mps.
        several = contrast(silent, texts, self.similarity, self.loss, outputs.scale, outputs.bias)
        with torch.autocast(batch.images.device.type, enabled=False):
            seen = self._views(images, texts, (batch.captions.kind != Kind.NEGATIVE), outputs)
        return {"text-conditioned": seen / 2, "multi-positive": several}

    def _views(self, images: Side, texts: Side, true: Bool[Tensor, " t"], outputs: Encoded) -> Float[Tensor, ""]:
        patches, every, ids = images.features.tokens, gather(wide(texts.features.pooled)), gather(texts.ids)
        assert patches is not None
        own = images.ids[:, None] == ids[None, :]
        _, thing, count = ids.unique(return_inverse=True, return_counts=True)
        weights = torch.where(own, 1, 1 / count[thing].to(every.dtype)) * gather(true.to(every.dtype))
        rows = images.weights.to(every.dtype)
        share = sum_over_processes(rows.new_tensor(float(len(rows)))) / sum_over_processes(rows.sum())
        weights = weights * (rows * share / weights.sum(1).clamp_min(torch.finfo(rows.dtype).tiny))[:, None]
        bias = outputs.scale.new_zeros(()) if outputs.bias is None else outputs.bias
        size = max(1, AT_ONCE // max(1, every.numel()))
        total = every.new_zeros(()) + 0 * every.sum()
        for at in torch.arange(len(rows), device=rows.device).split(size):
            real = None if images.features.mask is None else images.features.mask[at]
            part = wide(patches[at]), real, own[at], weights[at]
            total = total + checkpoint(self._cost, every, *part, outputs.scale, bias, use_reentrant=False)
        return total * world_size()

    def _cost(
        self,
        texts: Float[Tensor, "t d"],
        patches: Float[Tensor, "b n d"],
        real: Bool[Tensor, "b n"] | None,
        own: Bool[Tensor, "b t"],
        weights: Float[Tensor, "b t"],
        scale: Float[Tensor, ""],
        bias: Float[Tensor, ""],
    ) -> Float[Tensor, ""]:
        """The weighted sum over some images' rows."""
        learnt = {name: p.to(texts.dtype) for name, p in self.pooling.named_parameters()}
        views = functional_call(self.pooling, learnt, (texts, patches, real))
        scores = scale * (normalize(views) * normalize(texts)).sum(2) + bias
        return (weights * F.softplus(torch.where(own, -scores, scores))).sum()
