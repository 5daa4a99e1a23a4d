"""Retrieval of depth maps and videos by texts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scenes, Telling, World
from dovetail.evaluation.matching import COSINE
from dovetail.evaluation.senses import SenseBenchmark

WORLD = World(Sampler((2, 3), motion=0.5), telling=Telling(("full",)), senses=("depth", "video"))
SOURCE = Scenes(30, seed=3, size=32, world=WORLD)


class Knowing:
    """Knows which scene each picture, text and depth map is of, by what it has been shown of all of them."""

    similarity = COSINE
    senses: tuple[str, ...] = ("depth", "video")

    def __init__(self) -> None:
        records = [SOURCE[i] for i in range(len(SOURCE))]
        self.texts = {c.text: i for i, record in enumerate(records) for c in record.captions}
        self.depths = {record.depth.tobytes(): i for i, record in enumerate(records)}
        self.videos = {record.video[-1].tobytes(): i for i, record in enumerate(records) if record.video}
        self.shown: list[int] = []

    def encode_text(self, texts: list[str]) -> Tensor:
        return torch.eye(len(SOURCE))[[self.texts[text] for text in texts]]

    def encode_image(self, images: list[Any]) -> Tensor:
        self.shown += [image.ndim for image in images]
        return torch.ones(len(images), len(SOURCE))

    def encode_sense(self, sense: str, items: Sequence[Sequence[Any]]) -> Tensor:
        known = {"depth": self.depths, "video": self.videos}[sense]
        return torch.eye(len(SOURCE))[[known[frames[-1].tobytes()] for frames in items]]


def test_a_model_that_reads_depth_is_asked_by_it() -> None:
    model = Knowing()
    found = SenseBenchmark(SOURCE)(model)
    assert found.figures["mean_recall"].value == 1 and not model.shown
    assert found.counts == {"depth": 30, "captions": 30}
    assert found.chance["text_to_image/R@1"] == pytest.approx(1 / 30)


def test_another_reads_it_as_pictures() -> None:
    model = Knowing()
    model.senses = ()
    found = SenseBenchmark(SOURCE)(model)
    assert model.shown == [2] * 30, "grey pictures"
    assert found.figures["text_to_image/R@1"].value < 0.1
    SenseBenchmark(SOURCE, "video")(model)
    assert model.shown[30:] and set(model.shown[30:]) == {3}, "the first frames"


def test_records_without_the_sense_are_counted() -> None:
    moving = sum(bool(SOURCE[i].video) for i in range(len(SOURCE)))
    assert 0 < moving < 30
    found = SenseBenchmark(SOURCE, "video")(Knowing())
    assert found.counts["video"] == moving and found.figures["mean_recall"].value == 1
    assert f"{30 - moving}" in "; ".join(found.skipped.lines())
    blind = replace(SOURCE, world=replace(WORLD, senses=()))
    with pytest.raises(DataError, match="no record has depth and a caption"):
        SenseBenchmark(blind)(Knowing())
