"""An exported dual encoder, run by ONNX Runtime: pictures and texts in, vectors of unit length out."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from dovetail.catalogue import build
from dovetail.contracts import Similarity
from dovetail.data.images import decode
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import ImageLike
from dovetail.data.text import Tokenizer
from dovetail.models.export import FORMAT, NOTES, check_installed
from dovetail.models.files import CheckpointError, read_json

BATCH = 64


class Exported:
    """What `export` wrote.

    folder: where it lies. precision: `float32`, or `int8` where it was quantized. Raises CheckpointError when files are
    missing or of another format, and when ONNX Runtime is missing.
    """

    def __init__(self, folder: str | Path, precision: str = "float32"):
        check_installed()
        import onnxruntime

        self.folder, self.precision = Path(folder), precision
        notes = read_json(self.folder / NOTES)
        if not isinstance(notes, dict) or notes.get("format") != FORMAT:
            raise CheckpointError(f"{self.folder / NOTES}: not the notes of an export; expected format {FORMAT!r}")
        if precision not in notes["files"]:
            raise CheckpointError(f"{self.folder} holds no {precision}; there are: {', '.join(notes['files'])}")
        self.notes: dict[str, Any] = notes
        self.sessions = {
            side: onnxruntime.InferenceSession(str(self.folder / name), providers=["CPUExecutionProvider"])
            for side, name in notes["files"][precision].items()
        }
        self.preprocessing = Preprocessing.from_json(notes["preprocessing"])
        self.tokenizer = Tokenizer.load(self.folder)
        self.similarity: Similarity = build("cosine")

    def encode_image(self, images: Sequence[ImageLike | str]) -> Float[np.ndarray, "n d"]:
        """Vectors of pictures. Raises DataError for one that cannot be read."""
        return self._joined(self._pixels(images), "image")

    def encode_text(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Vectors of texts."""
        return self._joined(self._tokens(texts), "text")

    def run(self, side: str, values: dict[str, np.ndarray]) -> Float[np.ndarray, "n d"]:
        """One tower on its inputs: `image` on pixels, `text` on ids and mask."""
        (found,) = self.sessions[side].run(["vectors"], values)
        return np.asarray(found)

    def _pixels(self, images: Sequence[ImageLike | str]) -> Iterator[dict[str, np.ndarray]]:
        for i in range(0, len(images), BATCH):
            squares = torch.stack([self.preprocessing.evaluate(decode(image)) for image in images[i : i + BATCH]])
            yield {"pixels": self.preprocessing.normalise(squares).numpy()}

    def _tokens(self, texts: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        for i in range(0, len(texts), BATCH):
            found = self.tokenizer(texts[i : i + BATCH])
            yield {"ids": found.ids.numpy(), "mask": found.mask.long().numpy()}

    def _joined(self, parts: Iterator[dict[str, np.ndarray]], side: str) -> Float[np.ndarray, "n d"]:
        found = [self.run(side, part) for part in parts]
        return np.concatenate(found) if found else np.empty((0, int(self.notes["embed_dim"])), np.float32)
