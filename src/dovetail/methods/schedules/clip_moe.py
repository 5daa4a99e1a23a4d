"""CLIP-MoE: perceptrons trained on ever harder negatives become the experts of one model, and a router picks of them.

Zhang et al., "CLIP-MoE: Towards Building Mixture of Experts for CLIP with Diversified Multiplet Upcycling", 2024.

    stage s: from the model to begin with, the perceptrons of all blocks alone learn; L = InfoNCE, where the negatives
             of a pair are those in its group; groups: k-means of image vectors x k-means of text vectors of each
             earlier stage's model, all at once
    last: a block's perceptrons of all stages, the first model's among them, become a mixture (`nn.experts`); the
          routers alone learn; L = InfoNCE + b ( L_balance(images) + L_balance(texts) ),
          L_balance = E sum_e f_e P_e,   f_e: tokens sent to expert e of E, P_e: its mean probability, over all blocks

Confirmed against the authors' code: what learns in which stage, three groups of each modality, the mixture, four
experts of which a token uses two, b = 0.01. Not confirmed: that every stage begins with the first model's perceptrons.
They make whole batches of one group, of features of the whole data found beforehand; here pairs of other groups are
left out of a batch's negatives, and groups are made of the first `memory` vectors that a stage sees (before that, all
are negatives). The dropout within their experts is not here. How long each stage is, is ours.

    dovetail train --model runs/clip --objective clip_moe ...      a tower without blocks of ours stays as it is

Cost: in stage s, s more forward passes of both towers. Differs from training on in that the model becomes larger.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements, lookup
from dovetail.contracts import Batch, Encoder, Kind, Objective, PairLoss, Schedule, Stage
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.teacher import FrozenTeacher
from dovetail.nn.clusters import Clusters
from dovetail.nn.experts import Multiplet, blocks_of, mixtures_of, routed
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather
from dovetail.ops.features import wide
from dovetail.ops.sides import NEITHER, Pairs, Side
from dovetail.ops.similarity import normalize


@dataclass(frozen=True)
class _Placed:
    """Both sides, and the vectors by which each earlier model places images and texts in groups."""

    pairs: Encoded
    places: tuple[tuple[Float[Tensor, "b d"], Float[Tensor, "t d"]], ...]


class _Specialising(nn.Module):
    """InfoNCE among the pairs of a group, for the perceptrons alone."""

    requires = ()

    def __init__(self, multiplet: Multiplet, number: int, groups: int, memory: int):
        super().__init__()
        self.multiplet, self.number, self.groups, self.memory = multiplet, number, groups, memory
        self.loss, self.similarity = build("infonce", PairLoss), build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """The first model's perceptrons, which learn alone; and the models of earlier stages, which place pairs.

        Raises DataError where no tower has perceptrons that are plain maps.
        """
        if not blocks_of(model):
            raise DataError(
                "clip_moe: no tower has blocks of ours with perceptrons of plain maps; give one such as vit or "
                "text_transformer, and another --tune than lora"
            )
        self.multiplet.begin(model)
        self.earlier = nn.ModuleList()
        for number in range(self.number):
            self.multiplet.put(number, blocks_of(model))
            self.earlier.append(FrozenTeacher.copy_of(model))
        self.multiplet.put(0, blocks_of(model))
        made = [Clusters(model.embed_dim, self.groups, self.memory) for _ in range(2 * self.number)]
        self.clusters = nn.ModuleList(made).to(model.log_scale)
        model.requires_grad_(False)
        for block in blocks_of(model):
            nn.ModuleList([block.up, block.down]).requires_grad_(True)

    def end(self, model: DualEncoder) -> None:
        """Keeps the perceptrons; the model is as it began."""
        self.multiplet.take(self.number, blocks_of(model))
        self.multiplet.put(0, blocks_of(model))

    def encode(self, model: DualEncoder, batch: Batch) -> _Placed:
        """Runs both towers, and those of the earlier models."""
        texts = batch.captions.tokens
        earlier = [cast(FrozenTeacher, m) for m in self.earlier]
        features = [(m.image_features(batch.images), m.text_features(texts)) for m in earlier]
        places = [(normalize(wide(x.pooled)), normalize(wide(y.pooled))) for x, y in features]
        return _Placed(encoded(model, batch, tokens=False), tuple(places))

    def _clusters(self, stage: int) -> list[Clusters]:
        """The groups of images and of texts by an earlier stage's model."""
        return [cast(Clusters, c) for c in self.clusters[2 * stage : 2 * stage + 2]]

    def terms(self, outputs: _Placed, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The contrastive loss within groups. In training the groups are made of what comes first."""
        images, texts = sides(outputs.pairs, batch)
        owner, true = batch.captions.owner, batch.captions.kind != Kind.NEGATIVE
        told = torch.zeros_like(images.weights).index_put((owner[true],), images.weights.new_ones(()))
        code = torch.zeros_like(batch.ids)
        for i, (x, y) in enumerate(outputs.places):
            said = torch.zeros_like(x).index_add(0, owner[true], y[true].to(x.dtype))  # the mean caption's direction
            for clusters, vectors in zip(self._clusters(i), (x, normalize(said)), strict=True):
                if self.training:
                    clusters.see(vectors)
                code = code * self.groups + clusters(vectors)
        facts = code.to(torch.float64)[:, None]
        left = replace(images, facts=facts, weights=images.weights * told)  # an image without captions asks nothing
        right, pairs = replace(texts, facts=facts[owner]), outputs.pairs
        found = contrast(left, right, self.similarity, self.loss, pairs.scale, pairs.bias, within_groups)
        return {"contrastive": found}


def within_groups(rows: Side, cols: Side) -> Pairs | None:
    """Whose ids are equal; those of other groups neither belong to a row nor stand against it. Facts: the group."""
    assert rows.facts is not None and cols.facts is not None
    apart = rows.facts != cols.facts.T
    own = rows.ids[:, None] == cols.ids
    return Pairs.of(torch.where(own, 1.0, apart * NEITHER))


@dataclass(frozen=True)
class _Routed:
    """Both sides, and what the routers did: for each expert the probabilities and the tokens sent to it, and the
    tokens; a share of the piece's sums for each item."""

    pairs: Encoded
    images: Float[Tensor, "b k"]
    texts: Float[Tensor, "t k"]


class _Routing(nn.Module):
    """InfoNCE and the balance of the experts, for the routers alone."""

    requires = ()

    def __init__(self, multiplet: Multiplet, top: int, balance: float):
        super().__init__()
        self.multiplet, self.top, self.balance = multiplet, top, balance
        self.loss, self.similarity = build("infonce", PairLoss), build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """The towers with mixtures of what was kept, whose routers learn alone."""
        self.multiplet.begin(model)
        experts, width = self.multiplet.experts, model.log_scale
        for side in (s for s in ("image", "text") if blocks_of(model.get_submodule(s))):
            made = lookup(f"clip_moe_{side}", Encoder).make(getattr(model, side), experts, self.top)
            setattr(model, side, made.to(width))
        model.requires_grad_(False)
        for place, mixture in enumerate(mixtures_of(model)):
            for number, expert in enumerate(mixture.experts):
                expert.load_state_dict(self.multiplet.of(number)[place].state_dict())
            mixture.router.requires_grad_(True)

    def encode(self, model: DualEncoder, batch: Batch) -> _Routed:
        """Runs both towers, and notes where tokens are sent."""
        with routed(model.get_submodule("image")) as seen, routed(model.get_submodule("text")) as read:
            pairs = encoded(model, batch, tokens=False)
        return _Routed(pairs, self._counted(seen, pairs.images.pooled), self._counted(read, pairs.texts.pooled))

    def _counted(self, logits: list[Tensor], pooled: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        items = len(pooled)
        if not logits:  # a tower without mixtures
            return wide(pooled.new_zeros(items, 2 * self.multiplet.experts + 1))
        probabilities = wide(torch.cat(logits)).softmax(1)
        chosen = probabilities.topk(self.top).indices
        sent = torch.zeros_like(probabilities).scatter(1, chosen, 1.0).sum(0)
        every = torch.cat([probabilities.sum(0), sent, sent.new_full((1,), len(probabilities))])
        return every.expand(items, -1) / max(1, items)

    def terms(self, outputs: _Routed, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The contrastive loss and the weighted balance."""
        left, right = sides(outputs.pairs, batch)
        pairs = contrast(left, right, self.similarity, self.loss, outputs.pairs.scale, outputs.pairs.bias)
        return {"contrastive": pairs, "balance": self.balance * (_uneven(outputs.images) + _uneven(outputs.texts))}


def _uneven(routing: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    """E sum_e f_e P_e over the tokens of all processes."""
    total = gather(routing.sum(0, keepdim=True)).sum(0)
    experts = len(total) // 2
    probability, sent = (total[:-1] / total[-1].clamp_min(1)).split(experts)
    return experts * (probability * sent.detach()).sum()


@implements(Schedule)
class CLIPMoE(nn.Module):
    """One stage for each further expert, and one for the routers.

    Args:
        experts: perceptrons of a block in the end.
        top: how many of them a token uses.
        groups: of images, and of texts.
        memory: vectors that groups are made of.
        balance: weight of the balance (b).
        dense: share of the budget that a model from scratch is trained with first; 0 for one that has been.
        routing: share of the rest that the routers learn with.
    """

    requires = ()

    def __init__(
        self,
        experts: int = 4,
        top: int = 2,
        groups: int = 3,
        memory: int = 10_000,
        balance: float = 0.01,
        dense: float = 0.0,
        routing: float = 0.25,
    ):
        super().__init__()
        if experts < 2 or not 0 <= dense < 1 or not 0 < routing < 1:
            raise ValueError("expected experts of 2 or more, dense in 0..1 below 1, and routing between 0 and 1")
        self.experts, self.top, self.groups, self.memory = experts, top, groups, memory
        self.balance, self.dense, self.routing = balance, dense, routing
        multiplet = Multiplet(experts)
        special = [_Specialising(multiplet, number, groups, memory) for number in range(1, experts)]
        first: Any = lookup("contrastive", Objective).make()
        self.parts = nn.ModuleList([first, *special, _Routing(multiplet, top, balance)])
        self.loss = build("infonce", PairLoss)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All, in turn."""
        parts: list[Any] = list(self.parts)  # Objectives that are modules; no type says both
        first, *special, last = parts
        rest = 1 - self.dense
        share = rest * (1 - self.routing) / len(special)
        begun = (Stage(first, self.dense),) if self.dense else ()
        return (*begun, *(Stage(part, share) for part in special), Stage(last, rest * self.routing))
