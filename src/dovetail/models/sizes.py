"""One dial instead of ten knobs: what to train from scratch, by its size.

Towers, resolution, widths, vocabulary and the settings that go with them are chosen together, so that `--size` alone
makes a sensible run. Without it the size follows from the data and the device.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Size = Literal["micro", "tiny", "small", "base", "large"]


@dataclass(frozen=True)
class Plan:
    """A pair of towers from scratch and the settings they are trained with."""

    image: str  # the image tower, as `catalogue.build` reads it
    pixels: int
    text: dict[str, Any] = field(default_factory=dict)  # width, depth, heads of our text transformer
    embed_dim: int = 256
    vocabulary: int = 8192
    context: int = 64
    batch: int = 256
    captions_per_image: int | None = None  # drawn for a step; None: all
    learning_rate: float = 1e-3


PLANS: dict[Size, Plan] = {
    # for experiments on rendered scenes, where a run should take seconds
    "micro": Plan(
        image="vit(size=32, patch=8, width=64, depth=2, heads=2)",
        pixels=32,
        text={"width": 64, "depth": 2, "heads": 2},
        embed_dim=64,
        vocabulary=512,
        context=64,
        batch=128,
        captions_per_image=1,
        learning_rate=2e-3,
    ),
    "tiny": Plan(
        image="timm(name='resnet10t', size=96)",
        pixels=96,
        text={"width": 256, "depth": 2, "heads": 4},
        vocabulary=4096,
        batch=128,
        captions_per_image=2,
    ),
    "small": Plan(
        image="vit(size=144, patch=16, width=384, depth=12, heads=6)",
        pixels=144,
        text={"width": 384, "depth": 6, "heads": 6},
        embed_dim=384,
        vocabulary=16384,
        batch=1024,
    ),
    "base": Plan(
        image="vit(size=224, patch=16, width=768, depth=12, heads=12)",
        pixels=224,
        text={"width": 512, "depth": 12, "heads": 8},
        embed_dim=512,
        vocabulary=32768,
        context=77,
        batch=4096,
        learning_rate=5e-4,
    ),
    "large": Plan(
        image="vit(size=224, patch=14, width=1024, depth=24, heads=16)",
        pixels=224,
        text={"width": 768, "depth": 12, "heads": 12},
        embed_dim=768,
        vocabulary=32768,
        context=77,
        batch=8192,
        learning_rate=4e-4,
    ),
}


def size_for(items: int, gpu: bool) -> Size:
    """The size that suits so many images on such a device."""
    if not gpu or items < 100_000:
        return "tiny"
    if items < 2_000_000:
        return "small"
    return "base" if items < 100_000_000 else "large"
