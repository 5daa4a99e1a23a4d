"""A model whose work is divided among the processes of a run."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from dovetail.contracts import Features
from dovetail.data.records import DataError, ImageLike
from dovetail.evaluation.benchmarks import DualModel
from dovetail.evaluation.matching import as_features
from dovetail.ops.distributed import gather_features, gather_objects, this_process, world_size
from dovetail.ops.features import take


class Divided:
    """The same answers as the model's. Each process works on its share of what is asked, and all get the whole.

    All processes must ask the same, in the same order. In a single process it is the model itself.
    """

    def __init__(self, model: DualModel):
        self.model, self.similarity = model, model.similarity

    def encode_image(self, images: list[ImageLike]) -> Any:
        """See DualModel. An error in one process is raised in all."""
        return self._shared(images, self.model.encode_image, "image")

    def encode_text(self, texts: list[str]) -> Any:
        """See DualModel."""
        return self._shared(texts, self.model.encode_text, "text")

    def _shared(self, items: Sequence[Any], encode: Callable[[list[Any]], Any], what: str) -> Any:
        processes = world_size()
        if processes == 1 or len(items) < processes:
            return encode(list(items))
        part, error = None, None
        try:
            part = as_features(encode(list(items[this_process() :: processes])), what)
        except (DataError, ValueError) as found:
            error = found
        for told in gather_objects(error):
            if told is not None:
                raise told
        assert part is not None
        return self._in_order(part, len(items))

    def _in_order(self, part: Features, count: int) -> Features:
        """The shares of all processes, item by item: process r worked on the items r, r + n, r + 2n, ..."""
        every = gather_features(part, self.similarity.tokens)
        came = torch.cat([torch.arange(count)[rank :: world_size()] for rank in range(world_size())])
        return take(every, came.argsort())
