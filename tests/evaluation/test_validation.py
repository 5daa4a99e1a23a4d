"""Evaluation during training."""

import pytest

from dovetail.data.records import DataError
from dovetail.data.sources import open_source
from dovetail.data.worlds import Scenes
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.validation import validation
from dovetail.methods.similarities.cosine import Cosine
from tests.contracts.samples import dual_encoder


def test_the_first_figure_decides_and_shares_are_in_percent() -> None:
    scenes, model = Scenes(12), dual_encoder(similarity=Cosine())
    validate = validation([scenes])
    assert validate is not None
    figures, whole = validate(model), RetrievalBenchmark(scenes)(Embedder(model))
    assert next(iter(figures)) == "val/mean_recall"
    assert figures["val/mean_recall"] == pytest.approx(100 * whole["mean_recall"].value)
    assert figures["val/text_to_image/median_rank"] == pytest.approx(whole["text_to_image/median_rank"].value)


def test_nothing_is_evaluated_without_data() -> None:
    assert validation([]) is None
    with pytest.raises(DataError):
        validation([open_source([])])(dual_encoder(similarity=Cosine()))  # type: ignore[misc]
