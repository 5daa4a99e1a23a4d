"""LightCLIP against its definition in loops."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.objectives.lightclip import Levels, LightCLIP
from dovetail.models.contrasting import Encoded
from tests.contracts.samples import batch as sample
from tests.contracts.samples import begun

OWNER, IDS = [0, 0, 1, 2], [5, 6, 5]  # the first and the last image are the same thing
SCALE, SOFTNESS, PROGRESS = 4.0, 0.4, 0.5
Matrix = list[list[float]]


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def _softened(x: Matrix, y: Matrix, of_x: list[int], of_y: list[int]) -> float:
    """Each positive meets the negatives, with a target of 1 - e against e shared by them."""
    e, total = SOFTNESS * PROGRESS, 0.0
    for a, i in zip(x, of_x, strict=True):
        scores = [SCALE * _cosine(a, b) for b in y]
        near = [s for s, j in zip(scores, of_y, strict=True) if j == i]
        far = [s for s, j in zip(scores, of_y, strict=True) if j != i]
        for s in near:
            whole = math.log(math.exp(s) + sum(map(math.exp, far)))
            targets = (1 - e) * (whole - s) + sum(e / len(far) * (whole - f) for f in far)
            total += targets / len(near)
    return total / len(x)


def _levels(x: Tensor, y: Tensor, costs: Tensor) -> Levels:
    scale = torch.tensor(SCALE, dtype=torch.float64)
    matched = (costs[:4], torch.tensor([2, 0, 3, 1]))
    return Levels(Encoded(Features(x), Features(y), scale, None), matched, (costs[4:], torch.tensor([1, 1, 2, 0])))


def test_oracle_of_the_terms() -> None:
    torch.manual_seed(0)
    leaves = [torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in ((3, 3), (4, 3), (8,))]
    objective, of_texts = LightCLIP(SOFTNESS, match=2.0, hidden=3.0), [IDS[i] for i in OWNER]
    objective.progress = PROGRESS
    tokens = Tokens(torch.ones(4, 2, dtype=torch.int64), torch.ones(4, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(OWNER), torch.full((4,), int(Kind.RAW)))
    data = Batch(torch.zeros(3, 3, 4, 4, dtype=torch.uint8), captions, torch.tensor(IDS))

    def defined(x: Matrix, y: Matrix, c: list[float]) -> list[float]:
        pairs = (_softened(x, y, IDS, of_texts) + _softened(y, x, of_texts, IDS)) / 2
        return [pairs, 2 * (c[0] + c[2] + c[3]) / 6, 3 * (c[4] + c[5] + c[6]) / 4]

    terms = objective.terms(_levels(*leaves), data)
    assert list(terms) == ["contrastive", "matching", "hidden words"]
    assert [t.item() for t in terms.values()] == pytest.approx(defined(*(v.tolist() for v in leaves)), abs=1e-10)
    gradients = torch.autograd.grad(sum(terms.values(), leaves[0].new_zeros(())), leaves)
    for which, gradient in enumerate(gradients):
        for at in range(gradient.numel()):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [leaf.detach().clone() for leaf in leaves]
                moved[which].view(-1)[at] += step
                ends.append(sum(defined(*(v.tolist() for v in moved))))
            assert float(gradient.flatten()[at]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


def _best(words: Matrix, patches: Matrix) -> list[int]:
    """Which patch each word has, of all ways to give each one of its own."""
    ways = itertools.permutations(range(len(patches)), len(words))
    return list(max(ways, key=lambda way: sum(_cosine(w, patches[p]) for w, p in zip(words, way, strict=True))))


def test_words_are_matched_and_guessed_as_defined() -> None:
    torch.manual_seed(0)
    objective = LightCLIP(depth=1)
    model = begun(objective).double().eval()
    objective.double()
    data = sample()
    tokens = Tokens(data.captions.tokens.ids[:, :3], data.captions.tokens.mask[:, :3])
    data = replace(data, captions=replace(data.captions, tokens=tokens))
    data = replace(data, images=model.preprocessing.normalise(data.images).double())
    found = objective.encode(model, data)
    seen, said = model.image_features(data.images, tokens=True).tokens, model.text_features(tokens, tokens=True).tokens
    assert seen is not None and said is not None
    scale = float(model.scale.detach())
    for t, i in enumerate(data.captions.owner.tolist()):
        words, patches = said[t][tokens.mask[t]].tolist(), seen[i].tolist()
        groups, cost = [patches[p] for p in _best(words, patches)], 0.0
        for a, b in ((groups, words), (words, groups)):
            for k, v in enumerate(a):
                scores = [scale * _cosine(v, w) for w in b]
                cost += (math.log(sum(map(math.exp, scores))) - scores[k]) / 2
        assert found.matched[0][t].item() == pytest.approx(cost, abs=1e-8)
        assert int(found.matched[1][t]) == len(words)
    assert found.hidden[1].tolist() == [1] * 8, "15 % of a few words"
    changed = objective.encode(model, replace(data, images=data.images.flip(0)))
    assert (changed.hidden[0] != found.hidden[0]).any(), "what is guessed depends on the image"


def test_it_softens_and_hides_other_words_as_it_advances() -> None:
    objective = LightCLIP()
    model, data = begun(objective), sample()
    assert objective.progress == 0.5
    before = objective.encode(model, data)
    objective.advance(model, 0.75)
    after = objective.encode(model, data)
    assert (before.hidden[0] != after.hidden[0]).any() and torch.equal(before.matched[0], after.matched[0])
    softer, harder = (objective.terms(after, data)["contrastive"], LightCLIP().terms(after, data)["contrastive"])
    assert softer != harder
    assert isinstance(objective.fusion, nn.Module) and not hasattr(LightCLIP(), "fusion")


CLAIM = Claim(
    says="With small towers it retrieves better than InfoNCE after the same steps.",
    method=replace(RECIPE, objective="lightclip"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
