"""ProtoCLIP: images and captions fall into groups of their own, and each must also guess the other's group.

Chen et al., "ProtoCLIP: Prototypical Contrastive Language Image Pretraining", 2023.

    L = L_InfoNCE(x, y) + w (l(u, q, A, C) + l(v, p, B, D)) / 2,    u, v: unit projections of x and y
    l(u, q, A, C) = -sum_k softmax(<C_q, C_k> / T)_k  log softmax(s <u, A_k>)_k
    C, D: k-means centres of recent v and of recent u;  q, p: the group of the pair's text in C, of its image in D
    A_k: mean of the u whose text is in group k;  B_k: of the v whose image is (prototypical back translation)

Confirmed against the authors' code: the formulas; a projector of each modality with 2048 hidden numbers, normalised
over the batch, and 128 at the end; w = 1, T = 0.01; 20 steps of k-means; s is learnt, starts at 1/0.07 and stays below
100; 20,000 groups in an episode of 200,000 pairs; InfoNCE alone at first. No gradient reaches prototypes and targets.

Differs from their code in that an episode's vectors are those that training sees anyway, rather than those of an extra
pass over its data: groups are made anew when `episode` pairs have come since the last time. A pair's groups are those
that its vectors are nearest to now, theirs those of that pass. An external teacher, which they cluster besides, and
their last epoch with a locked image tower are not here. Memory: two banks of episode x width numbers, and items x
prototypes scores.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Kind, Objective, PairLoss
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import MAX_SCALE, DualEncoder
from dovetail.nn.projector import perceptron
from dovetail.nn.repeatable import repeatable
from dovetail.ops.clustering import kmeans, means, nearest
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.similarity import normalize

Vectors = Float[Tensor, "n e"]


@implements(Objective)
class ProtoCLIP(nn.Module):
    """InfoNCE, and the group of each pair's other side.

    Args:
        prototypes: groups of either modality.
        episode: pairs that groups are made of, and after which they are made anew.
        weight: of the second term (w).
        temperature: of the targets (T).
        inner: width of the projectors' hidden layer.
        width: how many numbers the projectors give.
        loss: what one row of scores costs in the first term; None: InfoNCE, as in the paper.
    """

    requires = ()
    seen_images: Tensor
    seen_texts: Tensor
    image_groups: Tensor
    text_groups: Tensor
    images_by_text: Tensor
    texts_by_image: Tensor
    fresh: Tensor
    episodes: Tensor

    def __init__(
        self,
        prototypes: int = 20_000,
        episode: int = 200_000,
        weight: float = 1.0,
        temperature: float = 0.01,
        inner: int = 2048,
        width: int = 128,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        if episode < prototypes:
            raise DataError(f"episode={episode}: expected at least as many pairs as prototypes ({prototypes})")
        self.prototypes, self.episode, self.weight, self.temperature = prototypes, episode, weight, temperature
        self.inner, self.width = inner, width
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the projectors, and room for an episode's vectors and its prototypes."""
        like, widths = model.log_scale, (model.embed_dim, self.inner, self.width)
        with repeatable():
            self.image_head, self.text_head = (perceptron(widths).to(like) for _ in range(2))
        self.log_scale = nn.Parameter(torch.full_like(like, math.log(1 / 0.07)))
        rows = {"seen_images": self.episode, "seen_texts": self.episode}
        groups = ("image_groups", "text_groups", "images_by_text", "texts_by_image")
        for name, count in (rows | dict.fromkeys(groups, self.prototypes)).items():
            self.register_buffer(name, like.new_zeros(count, self.width))
        for name in ("fresh", "episodes"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64, device=like.device))

    @torch.no_grad()
    def advance(self, model: DualEncoder, progress: float) -> None:
        """Bounds the scale; makes the groups anew when an episode is over."""
        self.log_scale.clamp_(0, math.log(MAX_SCALE))
        if self.fresh < self.episode:
            return
        u, v, k = self.seen_images, self.seen_texts, self.prototypes
        (images, p), (texts, q) = (kmeans(x, k) for x in (u, v))
        none = torch.zeros_like(images)
        found = images, texts, means(u, q, none), means(v, p, none)
        held = self.image_groups, self.text_groups, self.images_by_text, self.texts_by_image
        for place, groups in zip(held, found, strict=True):
            place.copy_(gather(groups)[:k])  # those of the first process, lest devices of another kind round otherwise
        self.episodes += 1
        self.fresh.zero_()

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. In training the banks take in the batch of all processes."""
        images, texts = sides(outputs, batch)
        pairs = contrast(images, texts, self.similarity, self.loss, outputs.scale, outputs.bias)
        true = (batch.captions.kind != Kind.NEGATIVE).nonzero()[:, 0]
        with torch.autocast(batch.images.device.type, enabled=False):
            u = normalize(self.image_head(wide(outputs.images.pooled)))[batch.captions.owner[true]]
            v = normalize(self.text_head(wide(outputs.texts.pooled)[true]))
            apart = self._prototypical(u, v, texts.weights[true].to(u.dtype))
            if self.training:
                self._remember(u.detach(), v.detach())
        return {"contrastive": pairs, "prototypes": self.weight * apart}

    def _prototypical(self, u: Vectors, v: Vectors, weights: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """The second term over n pairs; nothing before there are groups."""
        if not self.episodes:
            return 0 * (u.sum() + v.sum() + self.log_scale)  # DDP wants every parameter in use
        there = self._guess(u, nearest(v, self.text_groups), self.images_by_text, self.text_groups)
        back = self._guess(v, nearest(u, self.image_groups), self.texts_by_image, self.image_groups)
        return weighted_mean((there + back) / 2, weights)

    def _guess(self, x: Vectors, labels: Tensor, own: Tensor, other: Tensor) -> Float[Tensor, " n"]:
        """What it costs each x to guess the other side's group by the groups translated into its own space."""
        wanted = (other[labels] @ other.T / self.temperature).softmax(1)
        return -(wanted * (self.log_scale.exp() * x @ own.T).log_softmax(1)).sum(1)

    @torch.no_grad()
    def _remember(self, u: Vectors, v: Vectors) -> None:
        seen = gather(torch.cat([u, v], 1)).split(self.width, 1)
        for bank, new in zip((self.seen_images, self.seen_texts), seen, strict=True):
            bank.copy_(torch.cat([bank, new])[-self.episode :])
        self.fresh += len(seen[0])
