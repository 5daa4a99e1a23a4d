"""What claims share: a recipe that runs, scenes that no claim both trains and measures on."""

from dovetail.catalogue import entries
from dovetail.data.worlds import Scenes
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.finding import claim_of
from dovetail.evaluation.claims.laboratory import GROUPS, PIXELS, RECIPE, TEST_SEED, held_out, larger, scenes
from dovetail.models.sizes import PLANS
from tests.evaluation.claims import small


def test_scenes_fit_the_recipe_s_tower() -> None:
    assert RECIPE.size is not None and PLANS[RECIPE.size].pixels == PIXELS == RECIPE.augment.size
    assert scenes(GROUPS, 3)[0].image.shape == (PIXELS, PIXELS, 3)


def test_measured_scenes_are_none_that_are_trained_on() -> None:
    seeds = {seed for entry in entries() if (found := claim_of(entry)) for seed in found.claim.seeds}
    assert seeds and TEST_SEED not in seeds
    trained_on = {scenes(GROUPS, 50).scene(i) for i in range(50)}
    assert not trained_on & {held_out(GROUPS, 50).scene(i) for i in range(50)}


def test_a_larger_claim_is_the_same_claim() -> None:
    claim = small.claim(references=(small.recipe("siglip"), small.recipe()))
    big = larger(claim)
    assert (big.says, big.metric, big.seeds) == (claim.says, claim.metric, claim.seeds)
    for role, recipe in big.roles.items():
        assert recipe.objective == claim.roles[role].objective
        assert (recipe.batch, recipe.settings.accumulate) == (2_048, claim.roles[role].settings.accumulate)
        assert recipe.resolved(100_000, True).image is not None and "size=64" in str(recipe.image)
    assert isinstance(big.train, Scenes) and isinstance(big.benchmark, RetrievalBenchmark)
    assert isinstance(big.benchmark.source, Scenes)
    assert (big.train.size, big.benchmark.source.size, big.benchmark.source.seed) == (64, 64, 99)


def test_pictures_are_not_mirrored() -> None:
    assert RECIPE.augment.flip == 0 and RECIPE.augment.crop[0] > 0.8
