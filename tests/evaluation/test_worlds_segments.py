"""Segments of scenes: who knows every pixel is right, who knows nothing is not; and a dual encoder."""

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Benchmark, Features
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scenes, Vocabulary, World
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.worlds.segments import BOTTOM_UP, TOP_DOWN, SegmentationBenchmark
from tests.evaluation.known import picture
from tests.models.small import model

SCENES = Scenes(20, seed=3, size=32, world=World(Sampler((1, 3), Vocabulary(("square", "ring"), ("red", "blue")))))
NAMES = SCENES.world.sampler.vocabulary.names


class Knowing:
    """Has a patch for every pixel, which is what lies there; `share` of what it knows is noise."""

    def __init__(self, noise: float = 0.0) -> None:
        self.noise, self.held = noise, {}
        for i in range(len(SCENES)):
            scene = SCENES.scene(i)
            drawn = SCENES.world.style(scene, SCENES.size)
            kinds = torch.tensor([4, *(NAMES.index(thing.name) for thing in scene.things)])
            things = torch.from_numpy(drawn.mask).long()
            self.held[picture(drawn.image)] = torch.cat([torch.eye(5)[kinds[things]], torch.eye(4)[things] / 9], -1)

    def encode_patches(self, images: list[object]) -> Features:
        known = torch.stack([self.held[picture(image)] for image in images])
        grid = (1 - self.noise) * known + self.noise * torch.randn_like(known)
        return Features(grid.mean((1, 2)), grid.flatten(1, 2), grid=(SCENES.size, SCENES.size))

    def encode_text(self, texts: list[str]) -> Tensor:
        return torch.eye(9)[[NAMES.index(text.removeprefix("a ")) for text in texts]]


def test_who_knows_every_pixel_is_right() -> None:
    benchmark = SegmentationBenchmark(SCENES)
    assert isinstance(benchmark, Benchmark)
    result = benchmark(Knowing())
    assert result[TOP_DOWN].value == pytest.approx(1) and result[TOP_DOWN].share
    assert result[BOTTOM_UP].value == pytest.approx(1, abs=0.02)
    assert result.counts["images"] == 20 and result.counts["classes"] == 4
    assert result.counts["things"] == sum(len(SCENES.scene(i).things) for i in range(20))


def test_who_knows_nothing_is_not() -> None:
    result = SegmentationBenchmark(SCENES)(Knowing(noise=1.0))
    assert result[TOP_DOWN].value == pytest.approx(1 / 7, abs=0.06), "a quarter of each class's pixels, over both"
    assert result[BOTTOM_UP].value < 0.3


def test_a_dual_encoder_is_asked_for_its_patches() -> None:
    result = SegmentationBenchmark(SCENES)(Embedder(model()))
    assert 0 <= result[TOP_DOWN].value < 0.6 and 0 < result[BOTTOM_UP].value < 1


def test_templates_without_a_place_are_refused() -> None:
    with pytest.raises(DataError, match="has no {}"):
        SegmentationBenchmark(SCENES, templates=("a thing",))(Knowing())
