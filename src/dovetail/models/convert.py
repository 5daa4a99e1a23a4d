"""From one library's layout to another's, without a number changed."""

import shutil
from collections.abc import Callable
from pathlib import Path

from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError
from dovetail.models.layouts import dovetail, open_clip, transformers, transformers_dual
from dovetail.models.pretrained import located, opened
from dovetail.models.resize import Stretch, linear, resized

Writer = Callable[[DualEncoder, Path], Path]

WRITERS: dict[str, tuple[Writer, ...]] = {
    "dovetail": (dovetail.write,),
    "transformers": (transformers.write, transformers_dual.write),
    "open_clip": (open_clip.write,),
}
"""Who writes a layout; the first that has a name for all of a model's parts does it."""


def converted(
    source: str | Path, size: int | None = None, context: int | None = None, stretch: Stretch = linear
) -> DualEncoder:
    """The model in the precision it is stored in, resized where that is asked for; see `pretrained.load`."""
    return resized(opened(located(source)), size, context, stretch)


def written(model: DualEncoder, to: str, folder: Path) -> Path:
    """Writes the model in a layout of WRITERS; the folder is there whole or not at all.

    Raises CheckpointError, with the reasons, when the layout has no names for the model's parts.
    """
    part, reasons = folder.with_name(folder.name + ".part"), []
    for writer in WRITERS[to]:
        shutil.rmtree(part, ignore_errors=True)
        try:
            writer(model, part)
        except CheckpointError as error:
            shutil.rmtree(part, ignore_errors=True)
            reasons.append(str(error))
            continue
        if folder.is_dir():
            folder.rmdir()  # empty, or it is somebody's
        part.rename(folder)
        return folder
    raise CheckpointError(f"this model cannot be written as {to}: {'; '.join(reasons)}")
