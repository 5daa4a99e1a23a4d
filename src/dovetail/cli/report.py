"""From a finished run to its report."""

import platform
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml

import dovetail
from dovetail.catalogue import configuration, entry_of
from dovetail.data.records import Problems
from dovetail.data.survey import Survey
from dovetail.evaluation.benchmarks import Evidence
from dovetail.evaluation.report import (
    DataPart,
    DataSection,
    Fact,
    FactGroup,
    Figure,
    FigureGroup,
    FigureTable,
    Headline,
    ModelCard,
    NextStep,
    Report,
    Training,
    curves,
    write_picture,
    write_report,
)
from dovetail.evaluation.report.answers import examples, mistakes, similarities
from dovetail.evaluation.report.log import images_per_step
from dovetail.evaluation.result import Result, Results
from dovetail.evaluation.retrieval import RetrievalResult
from dovetail.training.assemble import make_objective
from dovetail.training.log import read_log
from dovetail.training.recipe import Recipe
from dovetail.training.run import Run

WAYS = {"text_to_image": "Caption to image", "image_to_text": "Image to caption"}
NAMES = {"median_rank": "median rank", "top1": "top 1", "top5": "top 5", "mean_per_class": "mean per class"}


def write_run_report(run: Run, recipe: Recipe, config: Mapping[str, Any], surveyed: Survey, results: Results) -> Path:
    """Writes report.html, and report.png with a few queries, into the run's folder; returns the page's path."""
    measured = [r for r in results.results if r.evidence is not None]
    retrieval = next((r for r in measured if isinstance(_full(r), RetrievalResult)), None)
    zero_shot = next((r for r in measured if not isinstance(_full(r), RetrievalResult)), None)
    evidence = retrieval.evidence if retrieval else None
    answers = examples(evidence) if evidence else None
    if answers:
        found = [query for query in answers.text_queries if any(hit.right for hit in query.hits)]
        write_picture((found or answers.text_queries)[:4], run.folder / "report.png")
    report = Report(
        headline=_headline(run, recipe, config, surveyed, retrieval, zero_shot),
        training=_training(run),
        retrieval=_retrieval_table(retrieval) if retrieval else None,
        zero_shot=_zero_shot_table(zero_shot) if zero_shot else None,
        examples=answers,
        mistakes=mistakes(evidence) if evidence else None,
        similarities=similarities(evidence) if evidence else None,
        data=_data(run, surveyed, results),
        card=_card(run, recipe, config),
    )
    return write_report(report, run.folder / "report.html")


def _full(result: Result) -> Any:
    return result.evidence.full if isinstance(result.evidence, Evidence) else None


def _figure(result: Result, key: str, name: str) -> Figure:
    estimate = result[key]
    return Figure(name, estimate, result.chance.get(key), 1 if estimate.share else 0)


def _headline(
    run: Run,
    recipe: Recipe,
    config: Mapping[str, Any],
    surveyed: Survey,
    retrieval: Result | None,
    zero_shot: Result | None,
) -> Headline:
    shown = []
    if zero_shot:
        shown.append(_figure(zero_shot, "top1", "zero-shot accuracy"))
    if retrieval:
        keys = ("text_to_image/R@1", "text_to_image/R@10", "image_to_text/R@10")
        shown += [_figure(retrieval, k, f"{WAYS[k.partition('/')[0]].lower()}, {k.partition('/')[2]}") for k in keys]
    minutes = run.state.seconds / 60
    sentence = (
        f"A dual encoder of {run.parameters['all'] / 1e6:.1f} million parameters, {_origin(config)} "
        f"with {recipe.objective} for {minutes:.1f} minutes on {surveyed.items:,} images "
        f"with {surveyed.captions:,} captions."
    )
    steps = (
        NextStep("Measure it on other data", f"dovetail evaluate {run.folder} --data YOUR.csv"),
        NextStep("Write embeddings to search with", f"dovetail embed {run.folder} --data YOUR.csv --out embeddings/"),
        NextStep("Try another objective", "dovetail methods"),
    )
    return Headline(run.folder.name, sentence, tuple(shown[:3]), tuple(_cautions(run, config, retrieval)), steps)


def _origin(config: Mapping[str, Any]) -> str:
    return f"tuned ({config['tune']}) from {config['model']}" if config.get("model") else "trained from scratch"


def _cautions(run: Run, config: Mapping[str, Any], retrieval: Result | None) -> list[str]:
    found = []
    if retrieval is None:
        found.append("Nothing was held out: give --val to know how well the model does on data that it has not seen.")
    elif retrieval.counts["images"] < 500:
        found.append(f"Measured on {retrieval.counts['images']} images only; the intervals are wide.")
    if retrieval and config.get("val") and run.state.best is not None:
        found.append(
            f"The weights are those of step {run.state.best_step:,}, the best of {run.state.evaluated} on this very "
            "data; measure on a third set before quoting the figures."
        )
    return found


def _training(run: Run) -> Training:
    rows = read_log(run.folder / "log.jsonl")
    speeds = sorted(r["images_per_second"] for r in rows if "images_per_second" in r)
    state = run.state
    facts = [
        Fact("Steps", f"{state.step:,}"),
        Fact("Images seen", f"{state.images:,}"),
        Fact("Time", f"{state.seconds / 60:.1f} minutes", "evaluation during training included"),
    ]
    if speeds:
        facts.append(Fact("Speed", f"{speeds[len(speeds) // 2]:,.0f} images a second", "median"))
    return Training(curves(rows), tuple(facts), images_per_step(rows))


def _retrieval_table(result: Result) -> FigureTable:
    groups = []
    for way, title in WAYS.items():
        keys = [k for k in result if k.startswith(way)]
        names = {k: NAMES.get(k.partition("/")[2], k.partition("/")[2]) for k in keys}
        groups.append(FigureGroup(title, tuple(_figure(result, k, names[k]) for k in keys)))
    counts = result.counts
    return FigureTable(f"{counts['captions']:,} captions against {counts['images']:,} images.", tuple(groups))


def _zero_shot_table(result: Result) -> FigureTable:
    figures = tuple(_figure(result, k, NAMES.get(k, k)) for k in result)
    templates = ", ".join(result.details.get("templates", []))
    sentence = f"{result.counts['images']:,} images, {result.counts['classes']:,} classes, prompts: {templates}"
    return FigureTable(sentence, (FigureGroup(result.name, figures),))


def _data(run: Run, surveyed: Survey, results: Results) -> DataSection:
    skipped = Problems(Counter(surveyed.skipped), {cause: list(names) for cause, names in surveyed.examples.items()})
    known = set(skipped.counts)
    # What broke only while training; the survey has counted the causes that it met itself.
    for cause in run.skipped.counts.keys() - known:
        skipped.counts[cause] = run.skipped.counts[cause]
        skipped.examples[cause] = run.skipped.examples[cause]
    train = DataPart(
        "train",
        surveyed.items,
        surveyed.captions,
        surveyed.captions_per_image,
        surveyed.words,
        surveyed.languages,
        skipped,
    )
    held_out = [
        DataPart(r.name, r.counts["images"], r.counts.get("captions", 0), skipped=r.skipped) for r in results.results
    ]
    return DataSection((train, *held_out))


def _card(run: Run, recipe: Recipe, config: Mapping[str, Any]) -> ModelCard:
    model, made = run.model, make_objective(recipe.objective)
    image, text = configuration(model.image), configuration(model.text)
    towers = (
        Fact("Image tower", _tower(image), f"{run.parameters['image'] / 1e6:.1f} million parameters"),
        Fact("Text tower", _tower(text), f"{run.parameters['text'] / 1e6:.1f} million parameters"),
        Fact("Embedding", f"{model.embed_dim} numbers", f"similarity: {entry_of(model.alike).key}"),
        Fact("Pixels", f"{model.preprocessing.size} x {model.preprocessing.size}", model.preprocessing.resize),
        Fact("Vocabulary", f"{model.tokenizer.vocab_size:,} tokens", f"at most {model.tokenizer.context} a text"),
    )
    place = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    made_with = (
        Fact("Objective", recipe.objective),
        Fact("Device", place),
        Fact("Written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        Fact(
            "Versions",
            f"dovetail {dovetail.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        ),
    )
    parts = [made, *(getattr(made, name) for name in ("loss", "similarity") if hasattr(made, name)), model.image]
    cited = {f'{m["authors"]}, "{m["title"]}", {m["year"]}.': None for p in parts for m in [entry_of(p).citation]}
    load = "\n".join(
        (
            "import dovetail",
            "",
            f"model = dovetail.load({str(run.folder)!r})",
            "images = model.encode_image(['a.jpg', 'b.jpg'])",
            "texts = model.encode_text(['a dog in the snow'])",
            "model.similarity(texts, images)",
        )
    )
    limits = (
        "It knows what its training captions speak of, and repeats their gaps and prejudices.",
        "Scores are comparable within one query; their absolute height has no meaning of its own.",
    )
    groups = (FactGroup("Model", towers), FactGroup("Making", made_with))
    return ModelCard(
        groups, tuple(cited), load, limits, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    )


def _tower(config: Mapping[str, Any]) -> str:
    options = {k: v for k, v in config["options"].items() if v is not None and not isinstance(v, dict)}
    return f"{config['method']}({', '.join(f'{k}={v}' for k, v in options.items())})"
