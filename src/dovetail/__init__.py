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


def load(folder: str | Path, device: str = "cpu") -> "DualEncoder":
    """Opens a run folder or a checkpoint folder as a model in evaluation mode; see
    `dovetail.models.pretrained.load`."""
    from dovetail.models import pretrained  # so that `import dovetail` does not wait for torch

    return pretrained.load(folder, device)


__all__ = ["__version__", "load"]
