"""Embedding a whole source to disk, part by part, so that a killed run continues and any size fits.

images-00000.npy    (n d) float32, unit length      one row per image, in the order of records-00000.jsonl
texts-00000.npy     (t d) float32, unit length      one row per caption, in the same order
records-00000.jsonl {"name", "id", "label", "captions"} one line per image
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from dovetail.data.collate import Collate, Draw
from dovetail.data.loading import loader
from dovetail.data.records import DataError, Problems, Record
from dovetail.data.sources import Stream, Table
from dovetail.data.stream import in_order
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.distributed import this_process, world_size
from dovetail.ops.similarity import normalize

PART = 16_384  # records of a part; a multiple of BATCH
BATCH = 128


def embed(
    model: DualEncoder, source: Table | Stream, folder: Path, workers: int | None = None, part: int = PART
) -> Iterator[tuple[int, Problems]]:
    """Writes the parts that are missing; yields (records done, what was skipped so far) after each batch.

    The part's `records` file is written last, so a part with one is whole. Of several processes each writes every so
    manieth part, alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    problems, batches, number, done = Problems(), in_order(source, min(BATCH, part)), 0, 0
    while draws := list(islice(batches, max(1, part // BATCH))):
        if number % world_size() == this_process() and not _records(folder, number).exists():
            rows: list[dict[str, object]] = []
            images: list[np.ndarray] = []
            texts: list[np.ndarray] = []
            for read, loaded in zip(
                draws, loader(draws, Collate(model.preprocessing, model.tokenizer), workers), strict=True
            ):
                for cause, name in loaded.skipped:
                    problems.add(cause, name)
                if loaded.batch is not None:
                    batch = loaded.batch.to(model.device)
                    with torch.inference_mode():
                        images.append(normalize(model.image_features(batch.images).pooled).cpu().numpy())
                        if batch.captions.owner.numel():
                            texts.append(normalize(model.text_features(batch.captions.tokens).pooled).cpu().numpy())
                    rows += _rows(read, batch.names)
                done += len(read)
                yield done, problems
            _write(folder, number, images, texts, rows, model.embed_dim)
        else:
            done += sum(map(len, draws))
        number += 1
    if not done:
        raise DataError(f"{source.name}: nothing to embed, there are no records")


def _rows(read: list[Draw], used: tuple[str, ...]) -> list[dict[str, object]]:
    kept: list[Record] = []
    for draw in read:  # in order, for files of the same name in two folders give records of the same name
        if len(kept) < len(used) and draw.record.name == used[len(kept)]:
            kept.append(draw.record)
    return [{"name": r.name, "id": r.id, "label": r.label, "captions": [c.text for c in r.captions]} for r in kept]


def _records(folder: Path, number: int) -> Path:
    return folder / f"records-{number:05d}.jsonl"


def _write(
    folder: Path,
    number: int,
    images: list[np.ndarray],
    texts: list[np.ndarray],
    rows: list[dict[str, object]],
    width: int,
) -> None:
    for kind, arrays in (("images", images), ("texts", texts)):
        path = folder / f"{kind}-{number:05d}.npy"
        beside = path.with_suffix(".part")
        with beside.open("wb") as file:
            np.save(file, np.concatenate(arrays) if arrays else np.empty((0, width), np.float32))
        beside.rename(path)
    beside = folder / f"records-{number:05d}.part"
    beside.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    beside.rename(_records(folder, number))
