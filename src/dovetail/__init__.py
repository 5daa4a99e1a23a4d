"""Image-language alignment: pre-train, adapt, evaluate, search, ground, caption and converse, behind a few contracts.

    model = dovetail.load("runs/f8k")
    model.encode_image(["a.jpg"]) @ model.encode_text(["a dog in the snow"]).T
"""

from importlib.metadata import PackageNotFoundError, version

from dovetail.models.pretrained import load

try:
    __version__ = version("dovetail")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0"

__all__ = ["__version__", "load"]
