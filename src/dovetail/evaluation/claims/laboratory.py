"""What claims have in common: a recipe that takes seconds, and scenes to train and measure on.

Scenes are trained on under the seeds of a claim (0, 1, 2, ...) and measured on under `TEST_SEED`.
"""

from dataclasses import replace
from typing import Any

from dovetail.data.preprocessing import HALF, Preprocessing
from dovetail.data.worlds import Sampler, Scenes, Telling, Vocabulary, World
from dovetail.evaluation.claims.claim import Claim
from dovetail.training.recipe import Recipe
from dovetail.training.settings import Settings

TEST_SEED = 1_000
PIXELS = 32

LEARNABLE = Vocabulary(
    shapes=("circle", "square", "triangle", "star", "cross"),
    sizes=("medium", "large"),
    textures=("plain", "striped"),
)
"""Few words, for small towers and short trainings."""

UNTURNED = Preprocessing(PIXELS, *HALF, crop=(0.85, 1.0), aspect=(1.0, 1.0), flip=0.0)
"""Augmentation that leaves captions true: mirrored or tightly cropped, `left of` and `large` would not be."""

RECIPE = Recipe(
    size="micro",
    augment=UNTURNED,
    steps=400,
    batch=128,
    settings=Settings(precision="fp32", save_seconds=600.0, log_every=50),
)
"""The recipe that a claim varies."""


def scenes(world: World, count: int = 4_000) -> Scenes:
    """Scenes to train on."""
    return Scenes(count, size=PIXELS, world=world)


def held_out(world: World, count: int = 500) -> Scenes:
    """Scenes to measure on, which no claim trains on."""
    return Scenes(count, TEST_SEED, PIXELS, world)


GROUPS = World(Sampler((2, 3), LEARNABLE), telling=Telling(("short", "full")))
"""Two or three things, told by colour and shape, or with size and texture too."""

PARAGRAPHS = World(Sampler((2, 3), LEARNABLE), telling=Telling(("long",)))
"""Two or three things in a paragraph: what there is, one by one, and a sentence for each of their relations."""

PAIRS = World(
    Sampler((2, 2), replace(LEARNABLE, sizes=("medium",), textures=("plain",))),
    telling=Telling(("short",)),
)
"""Two things that differ in colour and shape only, told by these: `a red circle and a blue square`."""


def larger(claim: Claim) -> Claim:
    """The same claim at the size of a GPU: pictures of 64 pixels, 100,000 scenes, towers of 384, batches of 2,048."""
    benchmark: Any = claim.benchmark
    roles = {name: _larger(recipe) for name, recipe in claim.roles.items()}
    references = (roles["method_reference"], roles["baseline_reference"]) if claim.references else None
    assert isinstance(claim.train, Scenes)
    return replace(
        claim,
        method=roles["method"],
        baseline=roles["baseline"],
        references=references,
        teacher=claim.teacher and _larger(claim.teacher),
        train=replace(claim.train, count=100_000, size=64),
        benchmark=replace(benchmark, source=replace(benchmark.source, count=2_000, size=64)),
    )


def _larger(recipe: Recipe) -> Recipe:
    settings = replace(recipe.settings, precision="bf16", learning_rate=1e-3)
    image = "vit(size=64, patch=8, width=384, depth=6, heads=6)"
    return replace(
        recipe, size="small", image=image, augment=replace(recipe.augment, size=64), batch=2_048, steps=1_500,
        captions_per_image=1, settings=settings,
    )  # fmt: skip
