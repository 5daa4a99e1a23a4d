"""Noticing that nothing is learnt."""

import math

import pytest
import torch

from dovetail.catalogue import build
from dovetail.contracts import Features, PairLoss
from dovetail.ops.contrast import contrast
from dovetail.ops.sides import Side
from dovetail.training.watch import (
    CollapseWatch,
    ScaleWatch,
    StuckWatch,
    TrainingStopped,
    mean_cosine,
    not_finite,
    repeated,
    uninformed,
)
from tests.models.small import TEXTS, model


@pytest.mark.parametrize("c", [2, 16, 1000])
def test_infonce_knows_nothing_at_the_logarithm_of_the_batch(c: int) -> None:
    assert uninformed(build("infonce", PairLoss), c, c) == pytest.approx(math.log(c), abs=1e-5)


def test_siglip_knows_nothing_at_the_entropy_of_a_pair() -> None:
    """The best constant answer is the share of the positives; the row sums c such entropies."""
    c = 16
    entropy = -(math.log(1 / c) / c + (1 - 1 / c) * math.log(1 - 1 / c))
    assert uninformed(build("siglip", PairLoss), c, c) == pytest.approx(c * entropy, rel=2e-3)


@pytest.mark.parametrize(("images", "captions"), [(8, 1), (8, 3)])
def test_it_is_the_loss_of_a_model_whose_embeddings_are_all_the_same(images: int, captions: int) -> None:
    loss = build("infonce", PairLoss)
    texts = images * captions

    def side(count: int) -> Side:
        return Side(Features(torch.ones(count, 4)), torch.arange(count) * images // count, torch.ones(count))

    found = contrast(side(images), side(texts), build("cosine"), loss, torch.tensor(10.0))
    level = (uninformed(loss, images, texts) + uninformed(loss, texts, images)) / 2
    assert float(found) == pytest.approx(level, abs=1e-5)


def _warnings(losses: list[float], patience: int = 5) -> list[int]:
    watch = StuckWatch(level=2.0, patience=patience)
    return [i for i, loss in enumerate(losses, 1) if watch.see([loss], 10.0)]


def test_warns_once_when_stuck() -> None:
    assert _warnings([2.01] * 30) == [10]


def test_says_what_to_try() -> None:
    told = StuckWatch(level=math.log(256), patience=2).see([5.54] * 4, 10.0)
    assert told is not None and "5.55" in told and "--settings.learning_rate" in told and "--batch" in told


def test_a_run_that_learns_is_left_alone() -> None:
    assert not _warnings([2.5 * 0.9**i for i in range(60)])
    assert not _warnings([3.0] * 5 + [1.9] * 40)  # a slow start that came down
    assert not _warnings([2.0] * 9)  # too early to tell


def test_losses_may_come_several_at_a_time() -> None:
    watch = StuckWatch(level=2.0, patience=5)
    assert (
        watch.see([2.0] * 9, 10.0) is None
        and watch.see([2.0] * 3, 10.0) is not None
        and watch.see([2.0] * 50, 10.0) is None
    )


def test_a_stop_names_step_items_and_checkpoint() -> None:
    error = not_finite(17, "loss", math.nan, [f"a.csv line {i}" for i in range(30)], "run/checkpoints/step-00000016")
    assert isinstance(error, TrainingStopped)
    told = str(error)
    assert "the loss is nan at step 17" in told and "run/checkpoints/step-00000016" in told
    assert "a.csv line 0\n" in told and "a.csv line 19\n" in told and "line 20" not in told and "and 10 more" in told


def test_a_scale_that_ran_to_its_bound_is_told_once() -> None:
    watch = ScaleWatch(bound=100.0, start=14.0)
    assert watch.see([1.0], 60.0) is None
    told = watch.see([1.0], 100.0)
    assert told is not None and "bound of 100" in told and "--tune heads" in told
    assert watch.see([1.0], 100.0) is None


def test_a_scale_that_started_at_its_bound_is_left_alone() -> None:
    assert ScaleWatch(bound=100.0, start=100.0).see([1.0], 100.0) is None


def test_the_mean_cosine_of_different_rows() -> None:
    x = torch.randn(5, 3)
    rows = [torch.cosine_similarity(x[i], x[j], dim=0) for i in range(5) for j in range(5) if i != j]
    assert mean_cosine(x) == pytest.approx(float(torch.stack(rows).mean()), abs=1e-6)


def test_embeddings_that_became_the_same_are_told_once() -> None:
    torch.manual_seed(0)
    made = model()
    watch = CollapseWatch(made, patience=3)
    images = torch.randn(4, 3, 32, 32)
    made.image_features(images), made.text_features(made.tokenizer(TEXTS))
    assert watch.see([1.0] * 5, 10.0) is None, "these differ"
    made.text_projection.weight.data[:] = 0.01 * torch.randn(12, 16)
    made.text_projection.weight.data[0] += 1
    made.text.transformer.norm.weight.data.zero_()  # every text becomes the norm's bias
    made.text_features(made.tokenizer(TEXTS))
    told = watch.see([1.0], 10.0)
    assert told is not None and told.startswith("the text embeddings have collapsed") and "1.000" in told
    assert watch.see([1.0], 10.0) is None


def test_random_towers_may_be_alike_at_first() -> None:
    made = model()
    watch = CollapseWatch(made, most=-1.0, patience=10)
    made.text_features(made.tokenizer(TEXTS))
    assert watch.see([1.0] * 9, 10.0) is None and watch.see([1.0], 10.0) is not None


@pytest.mark.parametrize(("captions", "several", "warns"), [(1000, 5, False), (100, 30, True), (100_000, 500, False)])
def test_repeated_captions_are_told_when_they_are_many(captions: int, several: int, warns: bool) -> None:
    assert (repeated(captions, several) is not None) == warns
