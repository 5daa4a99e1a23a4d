"""Measure a trained model: retrieval both ways, and zero-shot classification where there are labels."""

from pathlib import Path

from rich.console import Console

from dovetail.data.records import DataError
from dovetail.data.sources import Columns, open_source
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.benchmarks import RetrievalBenchmark, ZeroShotBenchmark
from dovetail.evaluation.divided import Divided
from dovetail.evaluation.result import Results
from dovetail.evaluation.zeroshot import PHOTO, read_templates
from dovetail.models.pretrained import load
from dovetail.training.assemble import all_records
from dovetail.training.processes import is_main, meet


def evaluate(
    run: str,
    data: list[str],
    columns: Columns = Columns(),  # noqa: B008 (frozen)
    templates: str | None = None,
    out: Path | None = None,
    limit: int | None = None,
) -> None:
    """Measure a trained model: retrieval both ways, and zero-shot classification where there are labels.

    Under torchrun the processes share the work; the figures are those of one.

    Args:
        run: a run, a checkpoint folder or file of any layout, or a hub id.
        data: files, folders, tar shards or hub ids; each is measured by itself.
        columns: which columns of a table hold what; guessed by name otherwise.
        templates: a file with one prompt a line, {} standing for the class; by default "a photo of a {}."
        out: where to write the figures as JSON; by default metrics.json in the run's folder, or here.
        limit: measure no more than so many images of each.
    """
    model, results = Divided(Embedder(load(run, meet()))), []
    prompts = read_templates(templates) if templates else PHOTO
    for spec in data:
        source = open_source(spec, columns)
        first = next(iter(all_records([source])))
        if first.captions:
            results.append(RetrievalBenchmark(source, f"retrieval on {spec}", limit=limit)(model))
        if first.label is not None:
            results.append(ZeroShotBenchmark(source, None, prompts, f"zero-shot on {spec}", limit)(model))
        if not first.captions and first.label is None:
            raise DataError(
                f"{spec} has neither captions nor labels; name them with --columns.captions or --columns.label"
            )
    if not is_main():
        return
    found = Results(tuple(results), {"run": run})
    place = out or (Path(run) if Path(run).is_dir() else Path()) / "metrics.json"
    found.write(place)
    Console().print(found.table())
    Console(stderr=True).print(f"written to {place}")
