"""Small data, a small model and a small run, for tests that need one."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from dovetail.catalogue import build
from dovetail.cli.main import main
from dovetail.contracts import Batch, Captions
from dovetail.data.collate import Loaded
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.text import train_bpe
from dovetail.models.dual_encoder import DualEncoder

TEXTS = ["a red square", "a green square", "a blue square", "a grey square on the left of a much longer caption"]
TOWER = "vit(size=32, patch=16, width=32, depth=1, heads=2)"
SMALL = ["--size", "tiny", "--image", TOWER, "--batch", "16"]
OPTIONS = [
    *SMALL, "--steps", "24", "--settings.ema", "0.9", "--settings.log_every", "1", "--settings.evaluations", "3",
    "--settings.save_seconds", "0.1", "--settings.precision", "fp32",
]  # fmt: skip


def photos(folder: Path, name: str, count: int, seed: int = 0) -> Path:
    """`folder/name.csv` and its JPEGs: plain colours, captioned with what they are."""
    rng = random.Random(seed)
    (folder / name).mkdir(parents=True)
    rows = []
    for i in range(count):
        colour = tuple(rng.randrange(256) for _ in range(3))
        Image.new("RGB", (40, 32), colour).save(folder / name / f"{i}.jpg")
        rows.append(
            (
                f"{name}/{i}.jpg",
                " ".join(f"{c} {v // 32}" for c, v in zip(("red", "green", "blue"), colour, strict=True)),
            )
        )
    return table(folder / f"{name}.csv", rows)


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    """A csv of image paths and captions."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("filepath", "title"), *rows])
    return path


def train_arguments(folder: Path, out: Path) -> list[str]:
    """The command that trains the small run on `folder`'s photos into `out`."""
    return ["train", "--data", str(folder / "train.csv"), "--val", str(folder / "val.csv"), "--out", str(out), *OPTIONS]


def finished(folder: Path) -> Path:
    """Makes photos, of which two are broken, and a run in `folder/run`. Returns the folder."""
    photos(folder, "train", 64)
    photos(folder, "val", 24, seed=1)
    (folder / "train" / "3.jpg").write_bytes((folder / "train" / "3.jpg").read_bytes()[:200])
    (folder / "train" / "5.jpg").unlink()
    main([*train_arguments(folder, folder / "run"), "--workers", "0"])
    return folder


def rows(run: Path, key: str = "loss") -> list[dict[str, Any]]:
    """The rows of a run's log that have the key."""
    return [row for line in (run / "log.jsonl").read_text().splitlines() if key in (row := json.loads(line))]


def losses(run: Path) -> list[tuple[int, float]]:
    """Step and loss of every row."""
    return [(row["step"], row["loss"]) for row in rows(run)]


def model() -> DualEncoder:
    """A small model from scratch."""
    text = "text_transformer(vocabulary=300, context=16, width=32, depth=1, heads=2)"
    return DualEncoder(
        build(TOWER),
        build(text),
        16,
        Preprocessing(size=32),
        train_bpe(TEXTS, vocab_size=300, context=16),
        build("cosine"),
    )


def batch(count: int = 4, seed: int = 0) -> Batch:
    """Pictures of noise with a caption each."""
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    tokens = train_bpe(TEXTS, vocab_size=300, context=16)([TEXTS[i % len(TEXTS)] for i in range(count)])
    owner = torch.arange(count)
    names = tuple(f"photo {seed}-{i}" for i in range(count))
    return Batch(pixels, Captions(tokens, owner, torch.zeros_like(owner)), torch.arange(count) + 1000 * seed, names)


def loaded(count: int = 4, seed: int = 0) -> Loaded:
    """The same as it comes out of a loader."""
    return Loaded(batch(count, seed))
