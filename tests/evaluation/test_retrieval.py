"""Retrieval both ways against plain loops; what chance, perfection, ties, equal ids and bad input give."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import dovetail
from dovetail.contracts import Features
from dovetail.evaluation.retrieval import retrieval
from tests.evaluation import oracles
from tests.evaluation.similarities import LateInteraction, Watched, inner


def noisy_pairs(images: int, captions: Tensor, noise: float, width: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Images, captions[i] noisy copies of image i in mixed order, and their owners."""
    owner = torch.arange(images).repeat_interleave(captions)
    owner = owner[torch.randperm(len(owner))]
    x = torch.randn(images, width)
    return x, x[owner] + noise * torch.randn(len(owner), width), owner


def expected(x: Tensor, y: Tensor, image_ids: Tensor, text_ids: Tensor) -> dict[str, float]:
    """Every figure by loops; images that have no caption are not asked."""
    asked = [i for i in range(len(x)) if image_ids[i] in text_ids]
    forward = oracles.cosines(x.numpy(), y.numpy())
    backward = [list(column) for column in zip(*forward, strict=True)]
    ways = {
        "image_to_text": oracles.ranks([forward[i] for i in asked], image_ids[asked].tolist(), text_ids.tolist()),
        "text_to_image": oracles.ranks(backward, text_ids.tolist(), image_ids.tolist()),
    }
    figures = {f"{name}/R@{k}": oracles.recall(places, k) for name, places in ways.items() for k in (1, 5, 10)}
    mean = sum(figures.values()) / len(figures)
    return figures | {f"{n}/median_rank": oracles.median_rank(p) for n, p in ways.items()} | {"mean_recall": mean}


def check(x: Tensor, y: Tensor, owner: Tensor, ids: Tensor | None = None) -> None:
    found = retrieval(x, y, owner, ids)
    known = torch.arange(len(x)) if ids is None else ids
    assert {n: e.value for n, e in found.figures.items()} == pytest.approx(expected(x, y, known, known[owner]))
    assert found.chance.keys() == found.figures.keys()
    for name, estimate in found.figures.items():
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.share == ("median" not in name)


def test_one_caption_an_image() -> None:
    check(*noisy_pairs(40, torch.ones(40).long(), noise=1.0))


def test_several_captions_an_image() -> None:
    check(*noisy_pairs(30, torch.randint(1, 6, (30,)), noise=1.5))


def test_equal_ids_are_right_answers() -> None:
    x, y, owner = noisy_pairs(30, torch.randint(1, 4, (30,)), noise=1.5)
    check(x, y, owner, ids=torch.randint(0, 12, (30,)) - (1 << 62))


def test_images_without_captions_are_found_among_but_not_asked() -> None:
    x, y, owner = noisy_pairs(30, torch.randint(0, 3, (30,)), noise=1.0)
    assert len(owner.unique()) < 30
    check(x, y, owner)
    asked = retrieval(x, y, owner).image_to_text
    assert asked.queries.tolist() == sorted(set(owner.tolist()))
    assert len(asked.ranks.above) == len(asked.queries)
    assert retrieval(x, y, owner).text_to_image.ranks.gallery == 30


def test_what_may_be_given() -> None:
    x, y, owner = noisy_pairs(20, torch.full((20,), 2), noise=1.0)
    first = retrieval(x, y, owner).figures
    assert retrieval(x.numpy(), y.numpy(), owner.numpy()).figures == first
    assert retrieval(Features(x), Features(7 * y), owner.tolist(), ids=list(range(20))).figures == first
    assert "text_to_image/R@3" in retrieval(x, y, owner, ks=(3,)).figures


def test_another_similarity() -> None:
    x, y, owner = noisy_pairs(25, torch.full((25,), 2), noise=1.0)
    y = y * torch.rand(50, 1)  # lengths matter to the inner product only
    found = retrieval(x, y, owner, similarity=inner).text_to_image.ranks.above
    scores = (y.double() @ x.double().T).tolist()
    assert (found + 1).tolist() == oracles.ranks(scores, owner.tolist(), list(range(25)))
    assert not torch.equal(found, retrieval(x, y, owner).image_to_text.ranks.above)


def test_a_similarity_of_tokens_in_both_directions() -> None:
    mask = torch.ones(12, 3).bool()
    left = Features(torch.zeros(12, 1), torch.randn(12, 3, 4), mask)
    right = Features(torch.zeros(12, 1), torch.randn(12, 3, 4), mask)
    found = retrieval(left, right, torch.arange(12), similarity=LateInteraction())
    for way, a, b in ((found.image_to_text, left, right), (found.text_to_image, right, left)):
        scores = LateInteraction().scores(a, b).tolist()
        assert (way.ranks.above + 1).tolist() == oracles.ranks(scores, list(range(12)), list(range(12)))


def test_perfect_embeddings_score_100() -> None:
    x = torch.randn(50, 16)
    owner = torch.arange(50).repeat_interleave(3)
    for name, estimate in retrieval(x, x[owner] * 5, owner).figures.items():
        assert (estimate.value, estimate.low, estimate.high) == (1, 1, 1), name


@pytest.mark.parametrize("captions", [1, 4])
def test_constant_embeddings_score_chance(captions: int) -> None:
    owner = torch.arange(60).repeat_interleave(captions)
    found = retrieval(torch.full((60, 32), 0.3), torch.full((60 * captions, 32), 0.7), owner)
    assert {n: e.value for n, e in found.figures.items()} == pytest.approx(found.chance)
    assert found.chance["text_to_image/R@5"] == pytest.approx(5 / 60)
    assert found.chance["text_to_image/median_rank"] == 30.5
    missed = np.prod([(60 * captions - captions - i) / (60 * captions - i) for i in range(5)])
    assert found.chance["image_to_text/R@5"] == pytest.approx(1 - missed)


def test_random_embeddings_score_about_chance() -> None:
    owner = torch.arange(400).repeat_interleave(2)
    found = retrieval(torch.randn(400, 16), torch.randn(800, 16), owner)
    for way, queries in (("image_to_text", 400), ("text_to_image", 800)):
        for k in (1, 5, 10):
            chance, value = found.chance[f"{way}/R@{k}"], found.figures[f"{way}/R@{k}"].value
            assert abs(value - chance) < 4 * (chance * (1 - chance) / queries) ** 0.5
        assert found.figures[f"{way}/median_rank"].value == pytest.approx(found.chance[f"{way}/median_rank"], rel=0.2)
    wide = found.figures["text_to_image/R@10"]
    assert wide.low <= found.chance["text_to_image/R@10"] <= wide.high


def test_the_order_of_images_and_texts_does_not_matter() -> None:
    x, y, owner = noisy_pairs(30, torch.full((30,), 2), noise=1.0)
    images, texts = torch.randperm(30), torch.randperm(60)
    where = torch.empty(30).long().scatter(0, images, torch.arange(30))
    mixed = retrieval(x[images], y[texts], where[owner[texts]]).figures
    for name, estimate in retrieval(x, y, owner).figures.items():
        assert mixed[name].value == pytest.approx(estimate.value)


def test_intervals_know_that_captions_of_an_image_go_together() -> None:
    x = torch.randn(80, 4)
    y = x + torch.randn(80, 4)
    widths = []
    for copies in (1, 5):
        owner = torch.arange(80).repeat_interleave(copies)
        one = retrieval(x, y[owner], owner).figures["text_to_image/R@10"]
        widths.append(one.high - one.low)
    assert widths[0] == pytest.approx(widths[1])  # five equal captions are no more evidence than one


@pytest.mark.parametrize(
    ("owner", "ids", "message"),
    [
        ([0, 1], None, "there are 3 texts but 2 owners"),
        ([0, 1, 3], None, "owners must be rows of the 3 images, but go from 0 to 3"),
        ([0, 1, -1], None, "owners must be rows"),
        ([0, 1, 2], [1, 2], "there are 3 images but 2 ids"),
    ],
)
def test_lengths_that_do_not_fit(owner: list[int], ids: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval(torch.randn(3, 2), torch.randn(3, 2), owner, ids)


def test_collapsed_training_is_not_a_perfect_score() -> None:
    x = torch.randn(3, 2)
    with pytest.raises(ValueError, match="text embedding 0 holds NaN"):
        retrieval(x, x * float("nan"), [0, 1, 2])


def test_no_more_than_a_block_of_scores_is_made_at_once() -> None:
    x, y, owner = noisy_pairs(3000, torch.full((3000,), 3), noise=1.0)
    similarity = Watched()
    retrieval(x, y, owner, similarity=similarity)
    assert similarity.largest <= 1 << 22 < similarity.total == 2 * 3000 * 9000


@pytest.mark.gpu
def test_a_gpu_gives_the_same_figures() -> None:
    x, y, owner = noisy_pairs(300, torch.randint(1, 4, (300,)), noise=1.0)
    here, there = retrieval(x, y, owner), retrieval(x.cuda(), y.cuda(), owner.cuda())
    for name, estimate in here.figures.items():
        assert there.figures[name].value == pytest.approx(estimate.value, rel=0.02)
    for one, other in ((here.image_to_text, there.image_to_text), (here.text_to_image, there.text_to_image)):
        rows = torch.tensor([0, 5])
        assert torch.equal(one.matching.nearest(rows, 3)[0], other.matching.nearest(rows, 3)[0])
        assert one.matching.mistakes(1)[0].query == other.matching.mistakes(1)[0].query


LARGE = """
import resource, sys, torch
from dovetail.evaluation.retrieval import retrieval
images = int(sys.argv[1])
torch.manual_seed(0)
owner = torch.arange(images).repeat_interleave(5)
x = torch.randn(images, 64)
y = x[owner] + 2 * torch.randn(5 * images, 64)
retrieval(x[:50], y[:250], owner[:250])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert retrieval(x, y, owner).figures["text_to_image/R@10"].value > 0.2
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("images", [4000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_score_matrix(images: int) -> None:
    """The 4,000 x 20,000 scores take 305 MiB, the 10,000 x 50,000 ones 1.9 GiB."""
    path = os.pathsep.join([str(Path(dovetail.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", LARGE, str(images)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert run.returncode == 0, run.stderr
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    assert int(run.stdout) * unit < 240 << 20
