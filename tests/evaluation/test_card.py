"""What a model's card says."""

from pathlib import Path

import pytest

from dovetail.catalogue import build
from dovetail.evaluation.card import LAYOUT_USE, model_card
from dovetail.evaluation.intervals import Estimate
from dovetail.evaluation.result import Result
from tests.models.small import model

RESULT = Result(
    "retrieval on /srv/somebody/held_out.csv",
    {"text_to_image/R@1": Estimate(0.25, 0.2, 0.31, share=True), "median_rank": Estimate(4.0, 3.0, 5.0)},
    {"text_to_image/R@1": 0.01},
    {"images": 100, "captions": 500},
)
CONFIG = {
    "data": ["/srv/somebody/secret/photos.csv", "owner/set"],
    "objective": "siglip",
    "model": "openai/clip",
    "tune": "lora",
    "batch": 128,
    "settings": {"learning_rate": 1e-4, "weight_decay": 0.0, "precision": "bf16"},
}


def _card(layout: str = "dovetail", config: dict[str, object] | None = None) -> str:
    config = CONFIG if config is None else config
    return model_card("you/yours", model(), layout, config, [RESULT], [build("siglip")] if config else [])


def test_data_are_named_and_places_are_not() -> None:
    card = _card()
    assert "- data: photos.csv, owner/set\n" in card and "held_out.csv (100 images, 500 captions):" in card
    assert "somebody" not in card and "secret" not in card


def test_a_folder_that_is_not_here_is_not_told_either() -> None:
    card = _card(config={**CONFIG, "data": ["secret/photos.csv"], "model": "secret/epoch_3.pt"})
    assert "- data: photos.csv\n" in card and "from epoch_3.pt" in card and "secret" not in card


def test_a_mean_with_the_original_is_told() -> None:
    assert "the weights are 0.3 of the tuned ones" in _card(config={**CONFIG, "wise": 0.3})
    assert "WiSE-FT" not in _card()


def test_figures_have_their_intervals_and_chance() -> None:
    card = _card()
    assert "| text_to_image/R@1 | 25.0 | 20.0 to 31.0 | 1.00 |" in card
    assert "| median_rank | 4.0 | 3.0 to 5.0 |  |" in card


def test_what_it_was_made_from_is_in_the_head_and_the_text() -> None:
    card = _card()
    assert card.startswith("---\n") and "base_model: openai/clip" in card.split("---")[1]
    assert "tuned (lora) from openai/clip" in card
    assert "Sigmoid Loss for Language Image Pre-Training" in card


@pytest.mark.parametrize("layout", LAYOUT_USE)
def test_how_to_load_it_fits_the_layout(layout: str) -> None:
    card = _card(layout)
    assert 'dovetail.load("you/yours")' in card
    assert LAYOUT_USE[layout].format(name="you/yours") in card
    assert card.count("```python") == (1 if layout == "dovetail" else 2)


def test_a_model_without_a_run(tmp_path: Path) -> None:
    assert "not trained by a run whose configuration is known" in _card(config={})
