"""Image-language alignment: pre-train, adapt, evaluate, search, ground, caption and converse, behind a few contracts.

model = dovetail.load("runs/f8k")
model.similarity(model.encode_text(["a dog in the snow"]), model.encode_image(["a.jpg"]))
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.models.dual_encoder import DualEncoder

try:
    __version__ = version("dovetail")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0"


def load(source: str | Path, device: str = "cpu", size: int | None = None, context: int | None = None) -> "DualEncoder":
    """Opens a run, a checkpoint of Dovetail, transformers, open_clip, OpenAI or big_vision, or a hub id, as a model in
    evaluation mode; for pictures of another `size` and texts of another `context` when asked. See
    `dovetail.models.pretrained.load`."""
    from dovetail.models import pretrained  # so that `import dovetail` does not wait for torch

    return pretrained.load(source, device, size, context)


__all__ = ["__version__", "load"]
