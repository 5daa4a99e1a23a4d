"""ProtoCLIP against its definition in loops, its authors' form, over episodes and over processes."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scenes, World
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, LEARNABLE, PIXELS, RECIPE, held_out, scenes
from dovetail.evaluation.probes import LinearProbe
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.objectives.protoclip import ProtoCLIP
from dovetail.models.contrasting import Encoded
from dovetail.ops.clustering import kmeans
from tests.contracts.samples import dual_encoder
from tests.processes import run

Matrix = list[list[float]]
GROUPINGS = ("image_groups", "text_groups", "images_by_text", "texts_by_image")
WIDTH, K, EPISODE, T, SCALE, S = 16, 3, 6, 0.3, 3.0, 5.0  # WIDTH: that of `dual_encoder`
OWNER, KIND = [0, 0, 1, 2, 2, 3], [Kind.RAW] * 4 + [Kind.NEGATIVE, Kind.RAW]
TRUE = [(o, j) for j, o in enumerate(OWNER) if KIND[j] != Kind.NEGATIVE]


def _dot(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _nearest(x: list[float], centres: Matrix) -> int:
    distances = [math.dist(x, c) for c in centres]
    return distances.index(min(distances))


def _softmax(scores: list[float]) -> list[float]:
    return [math.exp(s) / sum(map(math.exp, scores)) for s in scores]


def _guess(x: list[float], label: int, own: Matrix, other: Matrix) -> float:
    wanted = _softmax([_dot(other[label], c) / T for c in other])
    said = _softmax([S * _dot(x, a) for a in own])
    return -sum(w * math.log(p) for w, p in zip(wanted, said, strict=True))


def _defined(x: Matrix, y: Matrix, groups: dict[str, Matrix]) -> float:
    x, y = ([[v / math.hypot(*a) for v in a] for a in rows] for rows in (x, y))
    total = 0.0
    for i, j in TRUE:
        q, p = _nearest(y[j], groups["text_groups"]), _nearest(x[i], groups["image_groups"])
        total += _guess(x[i], q, groups["images_by_text"], groups["text_groups"])
        total += _guess(y[j], p, groups["texts_by_image"], groups["image_groups"])
    return total / (2 * len(TRUE))


def _objective() -> ProtoCLIP:
    """In its first episode, and of vectors as they come: the projectors before them are tested elsewhere."""
    objective = ProtoCLIP(K, EPISODE, temperature=T, width=WIDTH)
    objective.begin(dual_encoder(), ())
    objective.image_head, objective.text_head = nn.Identity(), nn.Identity()
    objective.double().log_scale.data.fill_(math.log(S))
    return objective


def _grouped() -> ProtoCLIP:
    """In its second, with groups of no particular origin."""
    objective = _objective()
    torch.manual_seed(5)
    for name in GROUPINGS:
        getattr(objective, name).copy_(torch.randn(K, WIDTH) / 2)
    objective.episodes += 1
    return objective


def _batch(images: slice = slice(None), texts: slice = slice(None)) -> Batch:
    owner = torch.tensor(OWNER[texts]) - (images.start or 0)
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, owner, torch.tensor([int(k) for k in KIND[texts]]))
    ids = torch.arange(4)[images]
    return Batch(torch.zeros(len(ids), 3, 4, 4, dtype=torch.uint8), captions, ids)


def _points() -> tuple[Tensor, Tensor]:
    torch.manual_seed(7)
    x, y = (torch.randn(n, WIDTH, dtype=torch.float64, requires_grad=True) for n in (4, 6))
    return x, y


def _terms(objective: ProtoCLIP | Contrastive, x: Tensor, y: Tensor, batch: Batch) -> dict[str, Tensor]:
    return dict(objective.terms(Encoded(Features(x), Features(y), x.new_tensor(SCALE), None), batch))


def test_oracle() -> None:
    objective, (x, y) = _grouped(), _points()
    found = _terms(objective, x, y, _batch())["prototypes"]
    xs, ys = x.tolist(), y.tolist()
    groups = {name: getattr(objective, name).tolist() for name in GROUPINGS}
    assert found.item() == pytest.approx(_defined(xs, ys, groups), abs=1e-10)
    for rows, gradient in zip((xs, ys), torch.autograd.grad(found, [x, y]), strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(WIDTH)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(_defined(xs, ys, groups))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_an_episode_s_groups_are_those_of_its_pairs() -> None:
    """Two batches of five pairs fill a bank of six with the last six; the other side's groups are means over pairs."""
    objective, owner = _objective(), torch.tensor([i for i, _ in TRUE])
    batches = [_points(), (torch.randn(4, WIDTH).double(), torch.randn(6, WIDTH).double())]
    pairs = []
    for x, y in batches:
        assert _terms(objective, x, y, _batch())["prototypes"] == 0
        pairs.append(torch.cat([F.normalize(x[owner]), F.normalize(y[[j for _, j in TRUE]])], 1).detach())
        objective.advance(dual_encoder(), 0.0)
    u, v = torch.cat(pairs)[-EPISODE:].split(WIDTH, 1)
    (images, p), (texts, q) = kmeans(u, K), kmeans(v, K)
    torch.testing.assert_close(objective.image_groups, images)
    torch.testing.assert_close(objective.text_groups, texts)
    for k in range(K):
        torch.testing.assert_close(objective.images_by_text[k], u[q == k].mean(0))
        torch.testing.assert_close(objective.texts_by_image[k], v[p == k].mean(0))
    assert objective.episodes == 1 and objective.fresh == 0
    again = _objective()
    again.load_state_dict(objective.state_dict())
    found, same = (_terms(o.eval(), *batches[0], _batch())["prototypes"] for o in (objective, again))
    assert found == same != 0 and objective.fresh == 0, "outside training nothing is remembered"


def test_at_first_it_is_infonce() -> None:
    x, y = _points()
    found, plain = (_terms(o, x, y, _batch()) for o in (_objective(), Contrastive()))
    assert found["contrastive"] == plain["contrastive"] and found["prototypes"] == 0
    with pytest.raises(DataError, match="at least as many pairs as prototypes"):
        ProtoCLIP(prototypes=5, episode=4)


def _part(rank: int) -> tuple[Tensor, ...]:
    x, y = _points()
    images, texts = ((slice(0, 1), slice(0, 2)), (slice(1, 4), slice(2, 6)))[rank]
    return _learnt(x, y, images, texts)


def _learnt(x: Tensor, y: Tensor, images: slice = slice(None), texts: slice = slice(None)) -> tuple[Tensor, ...]:
    objective = _grouped()
    value = torch.stack(list(_terms(objective, x[images], y[texts], _batch(images, texts)).values())).sum()
    value.backward()
    assert x.grad is not None and y.grad is not None and objective.log_scale.grad is not None
    banks = torch.cat([objective.seen_images, objective.seen_texts])
    objective.fresh += EPISODE
    objective.advance(dual_encoder(), 0.5)
    return value.detach(), x.grad, y.grad, objective.log_scale.grad, banks, objective.images_by_text


def test_two_processes_are_one() -> None:
    first, second = run(_part, 2)
    whole = _learnt(*_points())
    for a, b, wanted in zip(first[:4], second[:4], whole[:4], strict=True):
        torch.testing.assert_close((a + b) / 2, wanted)
    for a, b, wanted in zip(first[4:], second[4:], whole[4:], strict=True):
        torch.testing.assert_close(a, wanted)
        torch.testing.assert_close(b, wanted)


# What the paper gains most in: a linear classifier on the images' embeddings. Twenty steps make an episode.
SINGLE = World(Sampler((1, 1), LEARNABLE))
CLAIM = Claim(
    says="With prototypes of either side for the other, images are told apart better by a linear classifier.",
    method=replace(RECIPE, objective="protoclip(prototypes=256, episode=2560, inner=256, width=64)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=LinearProbe(Scenes(2_000, 2_000, PIXELS, SINGLE), held_out(SINGLE)),
    metric="linear_probe/top1",
)
