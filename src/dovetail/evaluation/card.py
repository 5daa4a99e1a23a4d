"""A model's card: what it is, what it was trained on and how, how good it is, and how to load it. Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from dovetail.catalogue import configuration, entry_of
from dovetail.evaluation.result import Result
from dovetail.models.dual_encoder import DualEncoder

LAYOUT_USE = {
    "dovetail": 'import dovetail\n\nmodel = dovetail.load("{name}")\nmodel.similarity('
    'model.encode_text(["a dog in the snow"]), model.encode_image(["a.jpg"]))',
    "transformers": "from transformers import AutoModel, AutoProcessor\n\n"
    'model = AutoModel.from_pretrained("{name}")\nprocessor = AutoProcessor.from_pretrained("{name}")',
    "open_clip": 'import open_clip\n\nmodel, preprocess = open_clip.create_model_from_pretrained("hf-hub:{name}")\n'
    'tokenizer = open_clip.get_tokenizer("hf-hub:{name}")',
}
FILES = {".csv", ".tsv", ".json", ".jsonl", ".parquet", ".tar", ".pt", ".npz", ".bin", ".safetensors"}
LIMITS = (
    "It knows what its training captions speak of, and repeats their gaps and prejudices. Scores are comparable within "
    "one query; their absolute height has no meaning of its own."
)


def model_card(
    name: str,
    model: DualEncoder,
    layout: str,
    config: Mapping[str, Any],
    results: Sequence[Result],
    methods: Sequence[Any],
) -> str:
    """The card of a model under its hub id.

    layout: one of LAYOUT_USE. config: of the run that made it, empty if there was none; of its data only names are
    told, never places. results: measured, with their intervals. methods: the objects that it was trained with, which
    are cited.
    """
    based = config.get("model")
    head = ModelCardData(
        library_name=layout.replace("open_clip", "open-clip"),
        tags=["dovetail", "image-text", "contrastive"],
        pipeline_tag="zero-shot-image-classification",
        base_model=based if isinstance(based, str) and _is_id(based) else None,
    )
    parts = [
        f"---\n{head.to_yaml()}\n---",
        f"# {name.rpartition('/')[2]}",
        _what(model),
        "## How to load it",
        *(f"```python\n{LAYOUT_USE[k].format(name=name)}\n```" for k in dict.fromkeys((layout, "dovetail"))),
        "## How good it is",
        "\n\n".join(map(_table, results)) or "Nothing was measured.",
        "## How it was made",
        _making(config, methods),
        "## Limits",
        LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


def _what(model: DualEncoder) -> str:
    image, text = configuration(model.image), configuration(model.text)
    count = sum(p.numel() for p in model.parameters()) / 1e6
    how = model.preprocessing
    return (
        f"An image tower (`{image['method']}`) and a text tower (`{text['method']}`) that meet in a space of "
        f"{model.embed_dim} numbers; {count:.1f} million parameters. It reads pictures of {how.size} x {how.size} "
        f"pixels ({how.resize}, {how.interpolation}) and texts of up to {model.tokenizer.context} tokens."
    )


def _table(result: Result) -> str:
    """A benchmark's figures with their 95 % intervals."""
    counts = ", ".join(f"{n:,} {what}" for what, n in result.counts.items())
    lines = [
        f"{_told(result.name)} ({counts}):",
        "",
        "| figure | value | 95 % interval | chance |",
        "|---|---|---|---|",
    ]
    for key, e in result.figures.items():
        unit = 100 if e.share else 1
        chance = f"{unit * result.chance[key]:.2f}" if key in result.chance else ""
        lines.append(f"| {key} | {unit * e.value:.1f} | {unit * e.low:.1f} to {unit * e.high:.1f} | {chance} |")
    return "\n".join(lines)


def _making(config: Mapping[str, Any], methods: Sequence[Any]) -> str:
    if not config:
        return "It was not trained by a run whose configuration is known."
    data = ", ".join(_place(spec) for spec in config.get("data") or [])
    begun = f"tuned ({config['tune']}) from {_place(config['model'])}" if config.get("model") else "from scratch"
    if config.get("wise") is not None:
        begun += f"; the weights are {config['wise']:g} of the tuned ones and the rest of the original's (WiSE-FT)"
    settings = config.get("settings", {})
    lines = [
        f"- data: {data}",
        f"- begun: {begun}",
        f"- objective: `{config.get('objective')}`",
        f"- batch {config.get('batch')}, learning rate {settings.get('learning_rate')}, "
        f"weight decay {settings.get('weight_decay')}, precision {settings.get('precision')}",
    ]
    cited = {f'{m["authors"]}, "{m["title"]}", {m["year"]}.': None for x in methods for m in [entry_of(x).citation]}
    return "\n".join(lines) + "\n\nMethods:\n\n" + "\n".join(f"- {line}" for line in cited)


def _told(name: str) -> str:
    """A benchmark's name without the folders of the file that it speaks of."""
    return " ".join(_place(word) if "/" in word else word for word in name.split(" "))


def _place(spec: str) -> str:
    """Data by its name alone: where it lies is nobody's business. A hub id stays whole."""
    return spec if _is_id(spec) else Path(spec).name


def _is_id(spec: str) -> bool:
    """Whether it can be a hub id, and no file: of a file not even the folder is told, whether it is here or not."""
    path = Path(spec)
    return (
        spec.count("/") == 1 and not spec.startswith((".", "/", "~")) and path.suffix not in FILES and not path.exists()
    )
