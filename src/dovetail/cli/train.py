"""Train a model on captioned images, evaluate it and write a report."""

from collections.abc import Mapping, Sequence
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
from dovetail.models.pretrained import load
from dovetail.models.sizes import Size
from dovetail.training.assemble import usual_objective
from dovetail.training.processes import is_main
from dovetail.training.recipe import Recipe
from dovetail.training.run import Run, fit, has_gpu
from dovetail.training.settings import Settings
from dovetail.training.soften import softened
from dovetail.training.tuning import Trained
from dovetail.training.watch import repeated


def train(
    data: list[str],
    out: Path = Path("runs/run"),
    val: list[str] | None = None,
    objective: str | None = None,
    model: str | None = None,
    tune: str | None = None,
    wise: float | None = None,
    watch: list[str] | None = None,
    size: Size | None = None,
    image: str | None = None,
    text: str | None = None,
    tokenizer: str | None = None,
    columns: Columns = Columns(),  # noqa: B008 (frozen)
    weights: list[float] | None = None,
    stream: bool = False,
    captions_per_image: int | None = None,
    sub_captions: int | None = None,
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
            siglip or contrastive(loss=siglip, similarity=cosine). By default infonce, or with --model what suits it.
        model: a trained model to begin with: a run, a checkpoint folder or file of transformers, open_clip, OpenAI or
            big_vision, or a hub id.
        tune: what of it to train: full, lora, heads, lock-image, lock-text, or last-2 for two blocks of each tower.
        wise: with --model, keep a mean of the original (0) and the tuned weights (1), such as 0.5 (WiSE-FT).
        watch: more data to evaluate on, such as what the model knew before, to see what it forgets.
        size: how large a model; by default what suits the data and the device.
        image: the image tower, such as timm:resnet18 or vit(size=112); by default the size's.
        text: the text tower, such as hf_text:FOLDER; by default the size's.
        tokenizer: a tokenizer file or folder, or CLIP's merges file; by default a BPE trained on the captions.
        columns: which columns of a table hold what; guessed by name otherwise.
        weights: how often each of `data` is drawn, relative to the others; by default by their lengths.
        stream: read the data shard by shard instead of holding its table in memory.
        captions_per_image: how many captions of an image a step sees; all are used in the long run.
        sub_captions: of each long caption a step sees that many sentences, drawn anew each time, instead of the whole.
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
    if advice := repeated(surveyed.captions, surveyed.repeated_captions):
        console.print(f"[yellow]warning:[/] {advice}")
    held_out, watched = ([_held_out(spec, columns) for spec in specs or []] for specs in (val, watch))
    trained = _trained(model, tune, wise, watched, held_out)
    objective = objective or (usual_objective(trained.model) if trained else "infonce")
    if micro_batch is not None:
        settings = replace(settings, micro_batch=micro_batch)
    recipe = Recipe(
        objective, size, image, text, tokenizer, augment, steps, epochs, minutes, batch, settings,
        captions_per_image=captions_per_image, sub_captions=sub_captions,
    ).resolved(surveyed.items, has_gpu(), trained)  # fmt: skip
    config: dict[str, Any] = {"data": data, "out": str(out), "val": val, "columns": asdict(columns), "weights": weights}
    config |= {"stream": stream, "model": model, "tune": trained and trained.tune, "wise": wise, "watch": watch}
    config |= plain(asdict(recipe)) | {"seed": seed, "workers": workers, "cache": plain(cache)}
    check = validation(held_out, watched)
    run = fit(sources, surveyed, out, recipe, config, seed, weights, workers, check, resume, console, cache, trained)
    if trained and wise is not None:
        run = softened(run, trained.name, wise, check, console)
    _finish(run, recipe, config, surveyed, held_out + watched, console)


def _finish(
    run: Run,
    recipe: Recipe,
    config: Mapping[str, Any],
    surveyed: Survey,
    held_out: Sequence[Source],
    console: Console,
) -> None:
    """Measures the model on all that was held out, and reports."""
    model = Divided(Embedder(run.model))
    results = Results(
        tuple(RetrievalBenchmark(s, f"retrieval on {s.name}")(model) for s in held_out), {"run": str(run.folder)}
    )
    if not is_main():
        return
    results.write(run.folder / "metrics.json")
    write_run_report(run, recipe, config, surveyed, results)
    if held_out:
        Console().print(results.table())
    place = str(run.folder)
    console.print(f"report: {run.folder / 'report.html'}   model: dovetail.load({place!r})", soft_wrap=True)


def _trained(
    model: str | None, tune: str | None, wise: float | None, watched: Sequence[Source], held_out: Sequence[Source]
) -> Trained | None:
    """The trained model to begin with, if any. Raises DataError for options that do not go together."""
    if wise is not None and (model is None or not 0 <= wise <= 1):
        raise DataError(f"--wise {wise}: a share between 0 (the original of --model) and 1 (the tuned model)")
    if watched and not held_out:
        raise DataError("--watch shows what is forgotten beside what is learnt: give the latter with --val")
    if model is None and tune is not None:
        raise DataError(f"--tune {tune} is a way to train on from a trained model: give it with --model")
    return None if model is None else Trained(model, load(model), tune or "full")


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
