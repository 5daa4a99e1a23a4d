"""A dual encoder as two ONNX files, which run without torch: on servers, in browsers, on phones.

image.onnx   text.onnx   export.json   tokenizer.json   tokenizer_config.json   (and image.int8.onnx, text.int8.onnx)

    image: pixels (b 3 s s), normalised floats                     -> vectors (b d) of unit length
    text:  ids (t l), mask (t l), 1 for a token, 0 for padding      -> vectors (t d) of unit length
    scores = scale * images texts^T + bias

b, t and l are free. export.json says how pixels are made (`preprocessing`), the scale and the bias.
"""

import copy
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dovetail.catalogue import configuration
from dovetail.contracts import Tokens
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, read_json, write_json
from dovetail.ops.similarity import normalize

FORMAT = "dovetail-onnx-1"
NOTES = "export.json"
OPSET = 18
FILES = {
    "float32": {"image": "image.onnx", "text": "text.onnx"},
    "int8": {"image": "image.int8.onnx", "text": "text.int8.onnx"},
}
ONE_FILE = 1_900_000_000  # bytes of weights that fit into one file; more lie beside it, in a file of the same name
NEEDED = ("onnx", "onnxruntime", "onnxscript")


def export(model: DualEncoder, folder: str | Path) -> Path:
    """Writes the model's towers, each with its map into the shared space, into `folder` (made if missing). Returns the
    folder.

    Raises CheckpointError when a package is missing, for a similarity other than the cosine of two vectors, and for a
    tower with an operation that ONNX does not have.
    """
    check_installed()
    if configuration(model.alike)["method"] != "cosine":
        method = configuration(model.alike)["method"]
        raise CheckpointError(f"the similarity {method} is more than a product of two vectors; only cosine is exported")
    folder, model = Path(folder), copy.deepcopy(model).float().cpu().eval()
    sides = {"image": ImageSide(model), "text": TextSide(model)}
    with _beside(folder) as part:
        for name, side in sides.items():
            _write(side, part / FILES["float32"][name], name)
        model.tokenizer.save(part)
        write_json(_notes(model), part / NOTES)
    return folder


def quantize(folder: str | Path) -> None:
    """Adds the two towers with weights of 8 bits, a quarter of the size; activations are quantized as they come.

    Raises CheckpointError when a package is missing.
    """
    check_installed()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder = Path(folder)
    with _beside(folder) as part:
        for side, name in FILES["int8"].items():
            whole = folder / FILES["float32"][side]
            large = whole.with_name(whole.name + ".data").exists()
            with _unadvised():
                quantize_dynamic(
                    whole,
                    part / name,
                    ["MatMul", "Gemm", "Gather"],
                    per_channel=True,
                    reduce_range=True,  # a bit less: processors without VNNI add products of 8 bits in 16
                    weight_type=QuantType.QInt8,
                    use_external_data_format=large,
                )
        write_json({**read_json(folder / NOTES), "files": FILES}, part / NOTES)


def check_installed() -> None:
    """Raises CheckpointError naming the packages that are missing and how to get them."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise CheckpointError(f"export needs {', '.join(missing)}. Run: pip install 'dovetail[export]'")


class ImageSide(nn.Module):
    """Normalised pixels to vectors of unit length."""

    def __init__(self, model: DualEncoder):
        super().__init__()
        self.tower, self.projection, self.size = model.image, model.image_projection, model.preprocessing.size

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        return normalize(self.projection(self.tower(pixels).pooled))

    def example(self) -> tuple[Tensor, ...]:
        """Something that it reads."""
        return (torch.zeros(2, 3, self.size, self.size),)


class TextSide(nn.Module):
    """Ids and their mask to vectors of unit length."""

    def __init__(self, model: DualEncoder):
        super().__init__()
        self.tower, self.projection = model.text, model.text_projection
        self.tokenizer = model.tokenizer

    def forward(self, ids: Int[Tensor, "t l"], mask: Int[Tensor, "t l"]) -> Float[Tensor, "t d"]:
        return normalize(self.projection(self.tower(Tokens(ids, mask > 0)).pooled))

    def example(self) -> tuple[Tensor, ...]:
        """Something that it reads: two texts of different lengths."""
        found = self.tokenizer(["a photo of a cat", "a dog"])
        return found.ids, found.mask.long()


INPUTS: dict[str, dict[str, dict[int, str]]] = {  # their names, and those of their free dimensions
    "image": {"pixels": {0: "images"}},
    "text": {"ids": {0: "texts", 1: "length"}, "mask": {0: "texts", 1: "length"}},
}


def _write(side: Any, path: Path, name: str) -> None:
    weights = sum(v.numel() * v.element_size() for v in side.state_dict().values())
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "# The axis name", UserWarning)  # ids and mask share theirs
            program = torch.onnx.export(
                side.eval(),
                side.example(),
                input_names=list(INPUTS[name]),
                output_names=["vectors"],
                dynamic_shapes=tuple(INPUTS[name].values()),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        tower = configuration(side.tower)["method"]
        cause = str(error.__cause__ or error).strip().partition("\n")[0]
        raise CheckpointError(f"the {name} tower {tower} has no ONNX form that torch can write ({cause})") from error
    assert program is not None
    program.save(str(path), external_data=weights > ONE_FILE)


def _notes(model: DualEncoder) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "opset": OPSET,
        "embed_dim": model.embed_dim,
        "inputs": {name: list(found) for name, found in INPUTS.items()},
        "output": "vectors",
        "files": {"float32": FILES["float32"]},
        "preprocessing": model.preprocessing.to_json(),
        "tokenizer": {"context": model.tokenizer.context, "pad": model.tokenizer.pad, "fill": model.tokenizer.fill},
        "scale": model.scale.item(),
        "bias": None if model.bias is None else model.bias.item(),
    }


@contextmanager
def _unadvised() -> Iterator[None]:
    """Without ONNX Runtime's advice to infer shapes and fold constants first: the exporter has done so."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder whose files are moved into `folder` at the end, the notes last."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".part-", dir=folder) as part:
        yield Path(part)
        for path in sorted(Path(part).iterdir(), key=lambda p: p.name == NOTES):
            os.replace(path, folder / path.name)
