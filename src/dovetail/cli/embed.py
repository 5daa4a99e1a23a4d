"""Write the embeddings of all images and captions of some data as numpy files."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dovetail.data.loading import default_workers
from dovetail.data.records import DataError, Problems
from dovetail.data.sources import Columns, Table, open_source
from dovetail.evaluation.embed import embed as write_embeddings
from dovetail.models.files import read_json, write_json
from dovetail.models.pretrained import load
from dovetail.ops.distributed import gather_objects, wait_for_all
from dovetail.training.processes import is_main, meet, on_this_machine


def embed(
    run: str,
    data: str,
    out: Path,
    columns: Columns = Columns(),  # noqa: B008 (frozen)
    workers: int | None = None,
) -> None:
    """Write the embeddings of all images and captions of some data as numpy files.

    A killed run continues where it was when the same command is given again. Under torchrun the processes share the
    work; the folder is that of one.

    Args:
        run: a run's folder.
        data: a file, folder, tar shards or hub id.
        out: folder for images-*.npy, texts-*.npy and records-*.jsonl, whose rows and lines correspond.
        columns: which columns of a table hold what; guessed by name otherwise.
        workers: processes that decode images; by default as many as there are cores.
    """
    model, source, console = load(run, meet()), open_source(data, columns), Console(stderr=True, quiet=not is_main())
    if is_main():
        claim(out, run, data)
    wait_for_all()
    workers = default_workers(on_this_machine()) if workers is None else workers
    total = len(source) if isinstance(source, Table) else None
    columns_shown = (TextColumn("embed"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    done, skipped = 0, Problems()
    with Progress(*columns_shown, console=console) as progress:
        line = progress.add_task("embed", total=total)
        for done, found in write_embeddings(model, source, out, workers):
            progress.update(line, completed=done)
            skipped = found
    for theirs in gather_objects(skipped)[1:]:  # which waits until all are done
        skipped.merge(theirs)
    skipped.merge(source.problems)
    for told in skipped.lines():
        console.print(f"[yellow]skipped[/] {told}")
    console.print(f"{done:,} records done; the embeddings lie in {out}")


def claim(out: Path, run: str, data: str) -> None:
    """Notes in `out` whose embeddings it holds. Raises DataError when it holds others, which must not be continued."""
    path, asked = out / "source.json", {"run": run, "data": data}
    held = read_json(path) if path.exists() else asked
    if held != asked:
        told = f"{held.get('data')} by {held.get('run')}"
        raise DataError(f"{out} holds the embeddings of {told}; choose another --out, or delete it.")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; --out names a folder.")
    out.mkdir(parents=True, exist_ok=True)
    write_json(asked, path)
