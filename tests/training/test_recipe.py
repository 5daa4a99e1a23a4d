"""What a run is, with every choice made."""

import pytest

from dovetail.data.records import DataError
from dovetail.models.sizes import PLANS
from dovetail.training.recipe import Recipe
from dovetail.training.settings import Settings
from dovetail.training.tuning import Trained
from tests import runs
from tests.models.small import model


def test_what_is_not_said_follows_from_the_size() -> None:
    recipe = Recipe(size="small").resolved(1000, gpu=False)
    plan = PLANS["small"]
    assert (recipe.image, recipe.batch, recipe.settings.learning_rate) == (plan.image, plan.batch, plan.learning_rate)
    assert recipe.epochs == 30.0 and recipe.steps is None and recipe.minutes is None
    assert Recipe().resolved(1000, gpu=True).settings.precision == "bf16"


def test_what_is_said_stands() -> None:
    settings = Settings(learning_rate=0.5, weight_decay=0.1, precision="fp32")
    asked = Recipe(size="tiny", image=runs.TOWER, steps=5, batch=7, captions_per_image=1, settings=settings)
    assert asked.resolved(10**9, gpu=True) == asked
    assert asked.resolved(1, gpu=False).resolved(1, gpu=False) == asked.resolved(1, gpu=False)


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        (Recipe(steps=1, epochs=1.0), "give one of them"),
        (Recipe(steps=0), "--steps 0: give a number above 0"),
        (Recipe(epochs=-1.0), "--epochs -1.0"),
        (Recipe(minutes=0.0), "--minutes 0.0"),
        (Recipe(batch=0), "--batch 0"),
        (Recipe(captions_per_image=0), "--captions_per_image 0"),
        (Recipe(sub_captions=0), "--sub_captions 0"),
        (Recipe(settings=Settings(accumulate=0)), "--settings.accumulate 0"),
        (Recipe(settings=Settings(micro_batch=0)), "--micro-batch 0: give a number above 0"),
        (Recipe(batch=4, settings=Settings(accumulate=8)), "a batch of 4 cannot be divided into 8 micro-steps"),
    ],
)
def test_what_cannot_be_is_refused(recipe: Recipe, told: str) -> None:
    with pytest.raises(DataError, match=told):
        recipe.resolved(100, gpu=False)


def test_a_trained_model_brings_its_own_defaults() -> None:
    heads = Trained("x", model(), "heads")
    recipe = Recipe().resolved(5000, gpu=False, trained=heads)
    assert (recipe.batch, recipe.epochs, recipe.captions_per_image, recipe.size) == (128, 10.0, 1, None)
    assert (recipe.settings.learning_rate, recipe.settings.weight_decay) == (1e-3, 0.1)
    assert Recipe().resolved(5000, gpu=False, trained=Trained("x", model())).settings.learning_rate == 1e-5
    assert recipe.resolved(5000, gpu=False, trained=heads) == recipe


@pytest.mark.parametrize(
    ("recipe", "tune", "told"),
    [
        (Recipe(image="vit"), "full", "--image makes a model from scratch, --model opens a trained one"),
        (Recipe(size="tiny"), "full", "--size makes a model from scratch"),
        (Recipe(), "half", "--tune half: there are full, lora, heads, lock-image, lock-text and last-N"),
        (Recipe(), "last-0", "--tune last-0: there are"),
    ],
)
def test_what_does_not_go_with_a_trained_model_is_refused(recipe: Recipe, tune: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        recipe.resolved(100, gpu=False, trained=Trained("x", model(), tune))
