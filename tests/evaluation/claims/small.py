"""Claims that take a second: a few steps of the smallest towers on a few scenes."""

from dataclasses import replace

from dovetail.data.worlds import Sampler, Scenes, World
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim, Found
from dovetail.evaluation.claims.laboratory import RECIPE, UNTURNED
from dovetail.training.recipe import Recipe

TOWER = "vit(size=16, patch=8, width=16, depth=1, heads=1)"
WORLD = World(Sampler((1, 2)))
SMALL = replace(RECIPE, image=TOWER, steps=2, batch=4, augment=replace(UNTURNED, size=16))


def recipe(objective: str = "infonce", steps: int = 2) -> Recipe:
    return replace(SMALL, objective=objective, steps=steps)


def claim(method: Recipe | None = None, **changes: object) -> Claim:
    """SigLIP against InfoNCE after two steps on eight scenes: nothing to learn anything from."""
    made = Claim(
        says="It is better.",
        method=recipe("siglip"),
        baseline=recipe(),
        train=Scenes(8, size=16, world=WORLD),
        benchmark=RetrievalBenchmark(Scenes(8, 99, 16, WORLD)),
        metric="text_to_image/R@1",
    )
    return replace(made, method=method or made.method, **changes)  # type: ignore[arg-type]


def found(key: str = "siglip", **changes: object) -> Found:
    return Found(key, "PairLoss", "cpu", claim(**changes))  # type: ignore[arg-type]
