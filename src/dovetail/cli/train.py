"""Train a model on captioned images, evaluate it and write a report."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from dovetail.cli.report import write_run_report
from dovetail.data.images import decode
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import DataError
from dovetail.data.sources import Columns, Source, Stream, Table, open_source, stream_source
from dovetail.data.survey import Survey, need_captions, survey
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.divided import Divided
from dovetail.evaluation.result import Results
from dovetail.evaluation.validation import validation
from dovetail.models.sizes import Size
from dovetail.training.processes import is_main
from dovetail.training.run import Recipe, fit, has_gpu
from dovetail.training.settings import Settings


def train(
    data: list[str],
    out: Path = Path("runs/run"),
    val: list[str] | None = None,
    objective: str = "infonce",
    size: Size | None = None,
    image: str | None = None,
    text: str | None = None,
    tokenizer: str | None = None,
    columns: Columns = Columns(),  # noqa: B008 (frozen)
    weights: list[float] | None = None,
    stream: bool = False,
    captions_per_image: int | None = None,
    augment: Preprocessing = Preprocessing(),  # noqa: B008 (frozen)
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    micro_batch: int | None = None,
    settings: Settings = Settings(),  # noqa: B008 (frozen)
    seed: int = 0,
    workers: int | None = None,
    cache: Path | None = None,
    resume: bool = False,
) -> None:
    """Train a model on captioned images, evaluate it and write a report.

    Args:
        data: files, folders, tar shards (`{000..099}`, `a::b`) or hub ids; several are mixed.
        out: the run's folder; must be new, or hold this run when resuming.
        val: data to evaluate on, in the same forms; never trained on.
        objective: what to minimise: an objective, a pair loss or a similarity of `dovetail methods`, such as
            siglip or contrastive(loss=siglip, similarity=cosine).
        size: how large a model; by default what suits the data and the device.
        image: the image tower, such as timm:resnet18 or vit(size=112); by default the size's.
        text: the text tower, such as hf_text:FOLDER; by default the size's.
        tokenizer: a tokenizer file or folder, or CLIP's merges file; by default a BPE trained on the captions.
        columns: which columns of a table hold what; guessed by name otherwise.
        weights: how often each of `data` is drawn, relative to the others; by default by their lengths.
        stream: read the data shard by shard instead of holding its table in memory.
        captions_per_image: how many captions of an image a step sees; all are used in the long run.
        augment: the picture's preprocessing; size in pixels follows from the tower.
        steps: optimiser steps to make.
        epochs: passes over the data to make (30, when none of steps, epochs and minutes is given).
        minutes: minutes to train, evaluation during training included.
        batch: images a step, over all processes.
        micro_batch: images a process holds in the towers at once, for large batches on little memory; the gradients
            stay those of the whole batch. By default all.
        settings: of the optimisation.
        seed: of weights, order and augmentation.
        workers: processes that decode images; by default as many as there are cores.
        cache: resized pictures are kept in this folder as bytes, and training views are crops of those: faster where
            data is seen many times, see docs/data.md for what it changes. For tables, not for streams.
        resume: continue the run in `out`.
    """
    console = Console(stderr=True, quiet=not is_main())
    sources = [_open(spec, columns, stream) for spec in data]
    console.print(f"reading {', '.join(data)}")
    surveyed = survey(sources, decode)
    need_captions(surveyed)
    tell(surveyed, console)
    held_out = [_held_out(spec, columns) for spec in val or []]
    if micro_batch is not None:
        settings = replace(settings, micro_batch=micro_batch)
    recipe = Recipe(
        objective, size, image, text, tokenizer, captions_per_image, augment, steps, epochs, minutes, batch, settings
    ).resolved(surveyed.items, has_gpu())
    config = {
        "data": data,
        "out": str(out),
        "val": val,
        "columns": asdict(columns),
        "weights": weights,
        "stream": stream,
    }
    config |= plain(asdict(recipe)) | {"seed": seed, "workers": workers, "cache": plain(cache)}
    check = validation(held_out)
    run = fit(sources, surveyed, out, recipe, config, seed, weights, workers, check, resume, console, cache)
    model = Divided(Embedder(run.model))
    results = Results(
        tuple(RetrievalBenchmark(s, f"retrieval on {s.name}")(model) for s in held_out), {"run": str(out)}
    )
    if not is_main():
        return
    results.write(out / "metrics.json")
    write_run_report(run, recipe, config, surveyed, results)
    if held_out:
        Console().print(results.table())
    console.print(f"report: {out / 'report.html'}   model: dovetail.load({str(out)!r})", soft_wrap=True)


def plain(value: Any) -> Any:
    """Values as YAML has them: tuples become lists, paths texts."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def _open(spec: str, columns: Columns, stream: bool) -> Table | Stream:
    source = stream_source(spec, columns) if stream else open_source(spec, columns)
    if not isinstance(source, Table | Stream):
        raise DataError(f"{spec}: neither a table nor a stream")
    return source


def _held_out(spec: str, columns: Columns) -> Source:
    """Data to evaluate on. Raises DataError now, not after an hour of training, when there is nothing to evaluate."""
    source = open_source(spec, columns)
    need_captions(survey(source, decode, sample=16))
    return source


def tell(found: Survey, console: Console) -> None:
    """Says how much data there is and what of it cannot be used."""
    more = "" if found.complete else " looked at"
    console.print(f"{found.items:,} images with {found.captions:,} captions{more}")
    for cause, count in found.skipped.items():
        console.print(f"[yellow]skipped[/] {count:,} x {cause}, e.g. {'; '.join(found.examples[cause][:2])}")
