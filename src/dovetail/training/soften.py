"""After fine-tuning: a mean of the original and the tuned weights, and what other means would have given."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dovetail.data.records import DataError
from dovetail.models.files import write_json
from dovetail.models.interpolation import interpolated
from dovetail.models.pretrained import load, save
from dovetail.ops.distributed import wait_for_all
from dovetail.training.loop import Validate
from dovetail.training.processes import is_main
from dovetail.training.run import Run

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
FILE = "wise.json"


def softened(run: Run, original: str, alpha: float, validate: Validate | None, console: Console) -> Run:
    """The run with its model replaced, in its folder too, by the one that lies `alpha` of the way from the original to
    the tuned one (WiSE-FT). With a validation its figures on the way are printed and written to wise.json.

    Raises DataError where training changed what the model is made of; it is then kept as it is.
    """
    start = load(original, run.model.device)
    tuned = load(tuned_copy(run.folder), run.model.device)
    try:
        interpolated(start, tuned, 1.0)
    except ValueError as error:
        raise DataError(f"--wise: {error}; {run.folder} holds the tuned model, which no mean can be made of") from error
    if validate:
        rows = {a: validate(interpolated(start, tuned, a)) for a in sorted({*SHARES, alpha})}
        if is_main():
            write_json([{"alpha": a, **figures} for a, figures in rows.items()], run.folder / FILE)
            console.print(_table(rows))
    model = interpolated(start, tuned, alpha).eval()
    if is_main():
        save(model, run.folder)
    wait_for_all()
    return replace(run, model=model)


def tuned_copy(folder: Path) -> Path:
    """Where the tuned weights are kept before they are mixed, so that a run that is called again mixes them once."""
    kept = folder / "tuned"
    if is_main() and not kept.is_dir():
        save(load(folder), kept)
    wait_for_all()
    return kept


def _table(rows: Mapping[float, Mapping[str, float]]) -> Table:
    """The mean recalls by the share of the tuned weights."""
    names = [k for k in next(iter(rows.values())) if k.endswith("mean_recall")]
    table = Table("tuned share", *names)
    for alpha, figures in rows.items():
        table.add_row(f"{alpha:g}", *(f"{figures[k]:.1f}" for k in names))
    return table
