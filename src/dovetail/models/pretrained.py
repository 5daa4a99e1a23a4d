"""Models on disk and on the hub, in any of the layouts that people have: opened as one kind of model. No code from
there is executed.

    dovetail.load("runs/mine"), dovetail.load("openai/clip-vit-base-patch32"), dovetail.load("epoch_32.pt")
"""

from pathlib import Path
from typing import Protocol

import torch
from huggingface_hub import snapshot_download

from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError
from dovetail.models.layouts import big_vision, checkpoints, dovetail, open_clip, transformers, transformers_dual
from dovetail.models.lora import CONFIG as ADAPTER
from dovetail.models.lora import adapted, base_of
from dovetail.models.resize import Stretch, linear, resized

FETCHED = ["*.json", "*.txt", "*.model", "*.safetensors"]
OLDER = ["*.bin", "*.pt", "*.npz"]  # weights of a place that has no safetensors


class Layout(Protocol):
    """A module that opens one layout. WHAT says what it is, for messages."""

    WHAT: str

    def recognises(self, place: Path) -> bool:
        """Whether a file or folder is of this layout, judged by names and configuration."""
        ...

    def read(self, place: Path) -> DualEncoder:
        """The model, its tensors in the precision they are stored in. Raises CheckpointError that names the file and
        what is missing or does not fit."""
        ...


LAYOUTS: tuple[Layout, ...] = (
    dovetail,
    open_clip,
    transformers_dual,
    transformers,
    big_vision,
    checkpoints,
)  # the first that recognises a place reads it
save = dovetail.write


def load(
    source: str | Path,
    device: str | torch.device = "cpu",
    size: int | None = None,
    context: int | None = None,
    stretch: Stretch = linear,
) -> DualEncoder:
    """Opens a run, a checkpoint folder or file of any layout in LAYOUTS, or a hub id, as a model in evaluation mode.

    A folder with a peft adapter is the model that it adapts, with the adapter merged into it. All numbers become
    float32. size, context, stretch: make the model read pictures of so many pixels and texts of so many tokens, see
    `models.resize`. Raises CheckpointError when there is nothing there, it is of no known layout, or its files do not
    fit each other, DataError for what cannot be resized.
    """
    model = opened(located(source)).float()
    return resized(model, size, context, stretch).to(device).eval()


def opened(place: Path) -> DualEncoder:
    """The model in a file or folder, in the precision it is stored in."""
    if (place / ADAPTER).is_file():
        base = located(base_of(place))
        if (base / ADAPTER).is_file():
            raise CheckpointError(f"{place / ADAPTER}: adapts {base}, which is an adapter itself; merge that one first")
        return adapted(opened(base), place)
    return layout_of(place).read(place)


def located(source: str | Path) -> Path:
    """The file or folder that `source` is, or where the hub's files of that id were put."""
    place = Path(source)
    if place.exists():
        return place
    if not _may_be_an_id(str(source)):
        raise CheckpointError(
            f"{source}: no such folder; expected a run or checkpoint folder, a checkpoint file or a hub id (owner/name)"
        )
    try:
        place = Path(snapshot_download(str(source), allow_patterns=FETCHED))
        if any(place.glob("*.safetensors")):
            return place
        return Path(snapshot_download(str(source), allow_patterns=FETCHED + OLDER))
    except (OSError, ValueError) as error:  # offline, no such id, no access
        raise CheckpointError(
            f"{source}: neither a file or folder here nor a model that the hub hands out ({error})"
        ) from error


def layout_of(place: Path) -> Layout:
    """The layout of a file or folder. Raises CheckpointError when it has none that we know."""
    for layout in LAYOUTS:
        if layout.recognises(place):
            return layout
    known = "; ".join(layout.WHAT for layout in LAYOUTS)
    raise CheckpointError(f"{place}: of no layout that can be opened. There are: {known}")


def _may_be_an_id(name: str) -> bool:
    owner, slash, rest = name.partition("/")
    return bool(slash and owner and rest) and "/" not in rest and owner not in (".", "..", "~")
