"""What claims share: a recipe that runs, scenes that no claim both trains and measures on."""

from dovetail.catalogue import entries
from dovetail.evaluation.claims.finding import claim_of
from dovetail.evaluation.claims.laboratory import GROUPS, PIXELS, RECIPE, TEST_SEED, held_out, scenes
from dovetail.models.sizes import PLANS


def test_scenes_fit_the_recipe_s_tower() -> None:
    assert RECIPE.size is not None and PLANS[RECIPE.size].pixels == PIXELS == RECIPE.augment.size
    assert scenes(GROUPS, 3)[0].image.shape == (PIXELS, PIXELS, 3)


def test_measured_scenes_are_none_that_are_trained_on() -> None:
    seeds = {seed for entry in entries() if (found := claim_of(entry)) for seed in found.claim.seeds}
    assert seeds and TEST_SEED not in seeds
    trained_on = {scenes(GROUPS, 50).scene(i) for i in range(50)}
    assert not trained_on & {held_out(GROUPS, 50).scene(i) for i in range(50)}


def test_pictures_are_not_mirrored() -> None:
    assert RECIPE.augment.flip == 0 and RECIPE.augment.crop[0] > 0.8
