"""What claims have in common: a recipe that takes seconds, and scenes to train and measure on.

Scenes are trained on under the seeds of a claim (0, 1, 2, ...) and measured on under `TEST_SEED`.
"""

from dovetail.data.preprocessing import HALF, Preprocessing
from dovetail.data.worlds import Sampler, Scenes, Telling, Vocabulary, World
from dovetail.training.run import Recipe
from dovetail.training.settings import Settings

TEST_SEED = 1_000
PIXELS = 32

LEARNABLE = Vocabulary(
    shapes=("circle", "square", "triangle", "star", "cross"),
    sizes=("medium", "large"),
    textures=("plain", "striped"),
)
"""Few enough words for a small tower and half a minute."""

UNTURNED = Preprocessing(PIXELS, *HALF, crop=(0.85, 1.0), aspect=(1.0, 1.0), flip=0.0)
"""Augmentation that leaves captions true: mirrored or tightly cropped, `left of` and `large` would not be."""

RECIPE = Recipe(
    size="micro",
    augment=UNTURNED,
    steps=400,
    batch=128,
    settings=Settings(precision="fp32", save_seconds=600.0, log_every=50),
)
"""The recipe that a claim varies. In float32: at these widths bfloat16 is no faster on a CPU."""


def scenes(world: World, count: int = 4_000) -> Scenes:
    """Scenes to train on."""
    return Scenes(count, size=PIXELS, world=world)


def held_out(world: World, count: int = 500) -> Scenes:
    """Scenes to measure on, which no claim trains on."""
    return Scenes(count, TEST_SEED, PIXELS, world)


GROUPS = World(Sampler((2, 3), LEARNABLE), telling=Telling(("short", "full")))
"""Two or three things, told by colour and shape, or with size and texture too."""
