"""What each way of fine-tuning costs and brings on a thousand pairs.

    python benchmarks/finetune.py --data DATA/flickr8k --out results/finetune_cpu.json

DATA/flickr8k holds train.jsonl and dev.jsonl. A small CLIP of random weights is first trained on all photos of train
but the last --pairs (--first 0: not at all), then tuned on those by every preset, each by `dovetail train --model` with
no further option than the steps, in a process of its own: parameters trained, seconds of training, peak memory of the
process, and mean recall on dev, before and after.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from measuring import save

from dovetail.data.preprocessing import Preprocessing
from dovetail.data.text import train_bpe
from dovetail.methods.encoders.clip_text import ClipText
from dovetail.methods.encoders.clip_vit import ClipViT
from dovetail.methods.similarities.cosine import Cosine
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pretrained import load
from dovetail.models.pretrained import save as keep
from dovetail.training.log import read_log
from dovetail.training.tuning import tuning

PRESETS = ["full", "lora", "heads", "lock-image", "lock-text", "last-2"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=200, help="steps of the training before")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = measured(options, Path(place))
    print(table(found["rows"]))
    save(options.out, found)


def measured(options: argparse.Namespace, place: Path) -> dict[str, Any]:
    """The rows of all presets."""
    before, pairs = split(options.data, options.pairs, place)
    start = place / "start"
    keep(small_clip(captions(before)), start)
    val = ["--val", options.data / "dev.jsonl"]
    if options.first:
        first = ["--steps", options.first, "--settings.learning_rate", 1e-3, "--settings.evaluations", 1]
        dovetail("--model", start, "--data", before, "--out", place / "clip", *val, *first)
        start = place / "clip"
    rows = []
    for preset in options.presets:
        out = place / preset
        last = ["--tune", preset, "--steps", options.steps, "--settings.evaluations", 1]
        peak = dovetail("--model", start, "--data", pairs, "--out", out, *val, *last)
        rows.append({"preset": preset, **outcome(out, start, preset), "peak_bytes": peak})
        print(preset, rows[-1], file=sys.stderr)
    return {"pairs": options.pairs, "first": options.first, "steps": options.steps, "rows": rows}


def split(data: Path, pairs: int, place: Path) -> tuple[Path, Path]:
    """Two tables: all of train but the last pairs, and those. Image paths become absolute."""
    lines = [json.loads(line) for line in (data / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    parts = place / "before.jsonl", place / "pairs.jsonl"
    for path, part in zip(parts, (lines[:-pairs], lines[-pairs:]), strict=True):
        rows = [{"image": str((data / row["image"]).resolve()), "captions": row["captions"]} for row in part]
        path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return parts


def captions(table: Path) -> list[str]:
    return [c for line in table.read_text(encoding="utf-8").splitlines() for c in json.loads(line)["captions"]]


def small_clip(texts: list[str]) -> DualEncoder:
    """CLIP's architecture, small, with random weights."""
    torch.manual_seed(0)
    tokenizer = train_bpe(texts, vocab_size=4096, context=32)
    return DualEncoder(
        ClipViT(size=64, patch=8, width=192, depth=6, heads=3),
        ClipText(vocabulary=tokenizer.vocab_size, context=32, width=192, depth=4, heads=3, end=tokenizer.eos),
        128,
        Preprocessing(size=64),
        tokenizer,
        Cosine(),
    )


def dovetail(*options: object) -> int:
    """Runs `dovetail train`; returns the peak memory of its process, of the workers the largest one's aside."""
    command = [sys.executable, "-m", "dovetail.cli.main", "train", *map(str, options)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def outcome(run: Path, start: Path, preset: str) -> dict[str, float]:
    """Trained parameters, seconds, and mean recall before and after."""
    model = load(start)
    tuning(preset).choose(model)
    rows = read_log(run / "log.jsonl")
    recall = [row["val/mean_recall"] for row in rows if "val/mean_recall" in row]
    trained = [row for row in rows if "images_per_second" in row]
    return {
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "all_parameters": sum(p.numel() for p in model.parameters()),
        "learning_rate": tuning(preset).learning_rate,
        "seconds": trained[-1]["seconds"],
        "before": recall[0],
        "after": recall[-1],
    }


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| preset | trained parameters | learning rate | s | peak MiB | mean recall before | after |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        share = f"{r['parameters']:,} ({100 * r['parameters'] / r['all_parameters']:.0f} %)"
        figures = f"{r['seconds']:.0f} | {r['peak_bytes'] / 2**20:,.0f} | {r['before']:.1f} | {r['after']:.1f}"
        lines.append(f"| {r['preset']} | {share} | {r['learning_rate']:g} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
