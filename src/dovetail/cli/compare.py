"""Train several objectives on your data with the same budget, and say what can be concluded."""

from pathlib import Path

from rich.console import Console

from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import DataError
from dovetail.data.sources import Columns, Table
from dovetail.evaluation.claims.contest import contest
from dovetail.evaluation.claims.sources import Files, Side, Source, opened
from dovetail.evaluation.comparison import conclusion, table
from dovetail.evaluation.report.comparison import write_comparison
from dovetail.models.sizes import Size
from dovetail.training.recipe import Recipe
from dovetail.training.settings import Settings


def compare(
    objectives: list[str],
    data: str,
    val: str | None = None,
    out: Path = Path("runs/compare"),
    seeds: int = 1,
    size: Size | None = None,
    image: str | None = None,
    text: str | None = None,
    tokenizer: str | None = None,
    columns: Columns = Columns(),  # noqa: B008 (frozen)
    captions_per_image: int | None = None,
    sub_captions: int | None = None,
    augment: Preprocessing = Preprocessing(),  # noqa: B008 (frozen)
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    settings: Settings = Settings(),  # noqa: B008 (frozen)
) -> None:
    """Train several objectives on your data with the same budget, and say what can be concluded.

    Everything but the objective is the same for all. The first one named is what the others are measured against.
    Called again, it goes on where it was.

    Args:
        objectives: two or more of `dovetail methods`, such as infonce siglip.
        data: a file, a folder, tar shards or a hub id to train on.
        val: data to measure on; by default a tenth of `data`, at most 2,000 images, is held out.
        out: where trainings and the report are kept.
        seeds: trainings of each objective; with one, intervals cover the choice of test items only.
        size: how large a model; by default what suits the data and the device.
        image: the image tower; by default the size's.
        text: the text tower; by default the size's.
        tokenizer: a tokenizer file or folder, or CLIP's merges file; by default a BPE trained on the captions.
        columns: which columns of a table hold what; guessed by name otherwise.
        captions_per_image: how many captions of an image a step sees.
        sub_captions: of each long caption a step sees that many sentences, drawn anew each time, instead of the whole.
        augment: the picture's preprocessing; size in pixels follows from the tower.
        steps: optimiser steps of each training.
        epochs: passes over the data of each training.
        minutes: minutes of each training, evaluation included.
        batch: images a step.
        settings: of the optimisation.
    """
    console = Console(stderr=True)
    recipe = Recipe(
        "infonce", size, image, text, tokenizer, augment, steps, epochs, minutes, batch, settings,
        captions_per_image=captions_per_image, sub_captions=sub_captions,
    )  # fmt: skip
    files = Files.of(data, columns)
    train, held_out = _sides(files, Files.of(val, columns) if val else None)
    comparison = contest(objectives, recipe, train, held_out, seeds, out / "trainings", console)
    comparison.write(out / "comparison.json")
    page = write_comparison(comparison, out)
    Console().print(table(comparison))
    for sentence in conclusion(comparison):
        Console().print(sentence, highlight=False, markup=False)
    console.print(f"report: {page}", soft_wrap=True)


def _sides(files: Files, val: Files | None) -> tuple[Source, Source]:
    """What to train on, and what to measure on."""
    if not isinstance(opened(val or files), Table):
        where = "measured on" if val else "divided"
        raise DataError(f"{(val or files).spec}: a stream cannot be {where}; name a table to measure on with --val")
    return (files, val) if val else (Side(files, False), Side(files, True))
