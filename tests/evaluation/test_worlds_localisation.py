"""Region phrases: an oracle that knows what is cut out is right; phrases that fit several things; cuts by hand."""

import re

import numpy as np
import pytest
import torch

from dovetail.contracts import Benchmark
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scene, Scenes, Vocabulary, World
from dovetail.evaluation import benchmarks
from dovetail.evaluation.worlds.localisation import LocalisationBenchmark, crop
from tests.evaluation.known import Constant, Held, Noise, Oracle, TokenNoise, inside, one_hot, picture
from tests.evaluation.test_worlds_attributes import ALL, Reader

FEW = Vocabulary(("square", "ring"), ("red", "blue"), sizes=("small",), textures=("plain",))
CROWD = Held(60, seed=2, size=48, world=World(Sampler((1, 4))))
ALIKE = Held(60, seed=2, size=48, world=World(Sampler((2, 4), FEW)))


def looks(scene: Scene) -> list[tuple[str, ...]]:
    return [(t.size, t.texture, t.colour, t.shape) for t in scene.things]


def oracle(source: Scenes, margin: float = 0.1) -> Oracle:
    known = {}
    for i in range(len(source)):
        record = source[i]
        for look, region in zip(looks(source.scene(i)), record.regions, strict=True):
            known[picture(crop(np.asarray(record.image), region.box, margin))] = one_hot(look, ALL)
    return Oracle(known, Reader())


@pytest.mark.parametrize("source", [CROWD, ALIKE])
def test_an_oracle_finds_every_region(source: Scenes) -> None:
    benchmark = LocalisationBenchmark(source)
    assert isinstance(benchmark, Benchmark)
    result = benchmark(oracle(source))
    assert result["phrase_to_region/accuracy"].value == 1 and result["phrase_to_region/accuracy"].share
    all_looks = [looks(source.scene(i)) for i in range(60)]
    asked = [[held.count(look) for look in held if held.count(look) < len(held)] for held in all_looks]
    sizes = [len(held) for held in all_looks]
    shares = [count / size for counts, size in zip(asked, sizes, strict=True) for count in counts]
    assert result.chance["phrase_to_region/accuracy"] == pytest.approx(np.mean(shares))
    assert result.counts["phrases"] == len(shares)
    assert result.counts["images"] == sum(map(bool, asked))
    assert result.skipped.counts["no two things that differ"] == 60 - sum(map(bool, asked)) > 0


def test_who_knows_nothing_guesses() -> None:
    assert inside(LocalisationBenchmark(CROWD)(Noise()))
    same = LocalisationBenchmark(ALIKE)(Constant())
    assert same["phrase_to_region/accuracy"].value == pytest.approx(same.chance["phrase_to_region/accuracy"])


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = LocalisationBenchmark(CROWD)(Noise())
    monkeypatch.setattr(benchmarks, "BATCH", 5)  # cuts through scenes
    assert LocalisationBenchmark(CROWD)(Noise()).figures == whole.figures
    assert LocalisationBenchmark(CROWD)(TokenNoise()).figures == whole.figures


def test_the_margin_reaches_the_model() -> None:
    assert LocalisationBenchmark(CROWD, margin=0.3)(oracle(CROWD, 0.3)).figures["phrase_to_region/accuracy"].value == 1
    with pytest.raises(KeyError):
        LocalisationBenchmark(CROWD, margin=0.3)(oracle(CROWD, 0.0))
    with pytest.raises(DataError, match="margin=-1"):
        LocalisationBenchmark(CROWD, margin=-1)


def test_one_mistake_by_hand() -> None:
    """In a scene of a red and a blue thing, the model takes the blue for red: the red phrase is at a loss."""
    source = Held(30, seed=2, size=48, world=World(Sampler((2, 2), FEW)))
    model, wrong, asked = oracle(source), 0, 0
    for i in range(30):
        colours = [t.colour for t in source.scene(i).things]
        differ = len(set(looks(source.scene(i)))) > 1
        asked += 2 * differ
        wrong += 2 * differ * (len(set(colours)) > 1)
    for key, held in model.images.items():
        flipped = held.clone()
        red, blue = ALL.index("red"), ALL.index("blue")
        flipped[red], flipped[blue] = 10 * held[blue], 10 * held[red]  # colour outweighs shape, and is reversed
        model.images[key] = flipped
    result = LocalisationBenchmark(source)(model)
    assert result["phrase_to_region/accuracy"].value == pytest.approx(1 - wrong / asked)
    assert 0 < wrong < asked


def test_phrases_are_those_of_the_regions() -> None:
    model = oracle(CROWD)
    LocalisationBenchmark(CROWD)(model)
    said = {region.phrase for i in range(60) for region in CROWD[i].regions}
    assert set(model.asked) <= said and all(re.match("an? ", text) for text in model.asked)
    assert len(model.asked) == len(set(model.asked))


def test_a_cut_by_hand() -> None:
    picture = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    box = (0.2, 0.4, 0.4, 0.6)  # columns 4 to 8, rows 4 to 6
    assert np.array_equal(crop(picture, box, 0.0), picture[3:7, 4:8])
    assert np.array_equal(crop(picture, box, 0.25), picture[2:8, 3:9])
    assert np.array_equal(crop(picture, (0.0, 0.0, 0.1, 0.2), 0.5), picture[0:3, 0:3])  # cut off at the corner
    assert np.array_equal(crop(picture, (0.0, 0.0, 1.0, 1.0), 0.1), picture)


def test_scenes_of_single_things() -> None:
    with pytest.raises(DataError, match="nothing is left to evaluate: 5 x no two things that differ"):
        LocalisationBenchmark(Held(5, size=24, world=World(Sampler((1, 1)))))(Noise())
    assert torch.equal(Noise().encode_text(["a"]), Noise().encode_text(["b", "a"])[1:])
