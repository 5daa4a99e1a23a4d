"""The page that sorts every method as a survey of the field does, from what each method's file is made of.

Zhang et al., "Vision-Language Models for Vision Tasks: A Survey", 2024.

Nothing is sorted by hand: a method stands in a row because its module imports what the row is about, or because of the
contract that it implements. A method of several parts stands in several rows.
"""

import ast
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dovetail.catalogue import Entry

TITLE = "Vision-Language Models for Vision Tasks: A Survey"


@dataclass(frozen=True)
class Row:
    """One class of the taxonomy. A method belongs to it that implements one of `contracts`, or imports one of `blocks`
    (modules below dovetail, or names in them), or requires one of `needs` of its data."""

    name: str
    says: str
    contracts: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


TAXONOMY: Mapping[str, tuple[Row, ...]] = {
    "Pre-training: contrastive objectives": (
        Row(
            "image with text",
            "what belongs together is near, all else is apart",
            ("PairLoss", "Similarity"),
            ("ops.contrast", "models.contrasting.sides", "methods.contrastive"),
        ),
        Row("image with image", "views of one picture recognise one another", blocks=("ops.among", "nn.prototypes")),
        Row(
            "without negatives",
            "one side foretells the other",
            blocks=("nn.prediction", "ops.transport", "nn.projector.OverBatch"),
        ),
        Row("with groups", "things are told apart, or foretold, by groups", blocks=("ops.clustering", "nn.clusters")),
        Row("image with label", "captions become the labels that they name", blocks=("data.concepts",)),
        Row("with hard negatives", "captions that are nearly true", needs=("negative captions",)),
        Row("softened targets", "negatives may be a little right", blocks=("ops.smoothing", "ops.soft")),
    ),
    "Pre-training: generative objectives": (
        Row("masked image modelling", "hidden patches are foretold", blocks=("ops.draws",)),
        Row("masked language modelling", "hidden words are foretold", blocks=("nn.mlm",)),
        Row("image to text", "a caption is written word by word", blocks=("nn.lvlm",)),
    ),
    "Pre-training: alignment objectives": (
        Row("region with phrase", "boxes and what is said of them", needs=("regions",)),
        Row(
            "patch with word or sentence",
            "texts gather the patches they speak of",
            blocks=("ops.grouping", "ops.matching"),
        ),
    ),
    "Texts beyond short captions": (
        Row("long descriptions", "", needs=("long captions",)),
        Row("synthetic captions", "a captioner's words beside the web's", needs=("synthetic captions",)),
        Row("several captions", "", needs=("several captions",)),
        Row("language models as text towers", "", blocks=("models.language",)),
    ),
    "Knowledge distillation": (
        Row("from a frozen teacher", "", blocks=("models.teacher",)),
        Row("from a teacher that trails", "", blocks=("nn.trailing",)),
    ),
    "Architecture": (Row("towers", "encoders of images and of texts", ("Encoder",)),),
    "Training in stages": (Row("schedules", "objectives one after the other", ("Schedule",)),),
    "Data": (Row("curators", "what is said of the data is changed before training", ("Curator",)),),
}


def imports(entry: Entry) -> set[str]:
    """What the method's module imports of the package: modules, and `module.name`s, without the `dovetail.` before; and
    `methods.key` for a method that it builds by its key."""
    found = set[str]()
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[entry.make.__module__]))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dovetail."):
            module = str(node.module).removeprefix("dovetail.")
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("build", "lookup") and node.args:
            found.add("methods." + str(getattr(node.args[0], "value", "")).partition("(")[0])
    return found


def belongs(entry: Entry, row: Row) -> bool:
    """Whether the method is of this class."""
    needs = set(getattr(entry.make, "requires", ()))
    return entry.contract in row.contracts or bool(imports(entry) & set(row.blocks)) or bool(needs & set(row.needs))


def sorted_into(entries: Sequence[Entry]) -> dict[str, list[tuple[Row, list[Entry]]]]:
    """The rows of every part of the taxonomy with their methods; rows without one are left out."""
    found = {}
    for part, rows in TAXONOMY.items():
        held = [(row, [e for e in entries if belongs(e, row)]) for row in rows]
        found[part] = [(row, methods) for row, methods in held if methods]
    return found


def page(entries: Sequence[Entry], paths: Mapping[tuple[str, str], str]) -> str:
    """The page as Markdown. paths: where each method's own page is."""
    parts = [
        "# Methods by the survey's taxonomy",
        f'> Zhang et al., "{TITLE}", 2024.',
        "The survey sorts pre-training by its objectives (contrastive, generative, alignment), and beside it transfer "
        "and knowledge distillation. Here a method stands in a row because its file imports what the row is about, "
        "needs the data that it is about, or implements its contract; a method of several parts stands in several "
        "rows. Fine-tuning is no method of its own: every objective tunes a trained model with `--model` and `--tune`.",
    ]
    for part, rows in sorted_into(entries).items():
        lines = [f"| {_named(row)} | {', '.join(_link(e, paths) for e in methods)} |" for row, methods in rows]
        parts.append(f"## {part}\n\n| class | methods |\n|---|---|\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _named(row: Row) -> str:
    return f"{row.name}: {row.says}" if row.says else row.name


def _link(entry: Entry, paths: Mapping[tuple[str, str], str]) -> str:
    return f"[{entry.name}]({paths[entry.contract, entry.key]})"
