"""Zero-shot by attribute: who knows the facts is right, who knows nothing guesses, and classes are what is said."""

import re

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Benchmark, Features
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scenes, Vocabulary, World
from dovetail.evaluation import benchmarks
from dovetail.evaluation.matching import COSINE
from dovetail.evaluation.worlds.attributes import AttributeBenchmark
from dovetail.ops.similarity import compare
from tests.evaluation.known import Constant, Held, Noise, Oracle, TokenNoise, inside, one_hot, scenes_of

SINGLE = Held(150, seed=3, size=24, world=World(Sampler(objects=(1, 1))))
WORDS = {
    "colour": ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"],
    "shape": ["circle", "square", "triangle", "star", "heart", "cross", "ring", "crescent"],
    "size": ["small", "medium", "large"],
    "texture": ["plain", "striped", "dotted", "checked"],
}
ALL = [word for words in WORDS.values() for word in words]
USUAL = {"little": "small", "medium-sized": "medium", "mid-sized": "medium", "big": "large", "solid": "plain"}
USUAL |= {"stripy": "striped", "spotted": "dotted", "chequered": "checked", "violet": "purple", "disc": "circle"}
USUAL |= {"moon": "crescent"}


class Reader(dict[str, Tensor]):
    """Reads texts word by word."""

    def __missing__(self, text: str) -> Tensor:
        words = [USUAL.get(word, word) for word in re.findall(r"[a-z-]+", text.lower())]
        return one_hot([word for word in words if word in ALL], ALL)


def oracle(source: Scenes) -> Oracle:
    images = {}
    for image, scene in scenes_of(source).items():
        thing = scene.things[0]
        images[image] = one_hot([thing.colour, thing.shape, thing.size, thing.texture], ALL)
    return Oracle(images, Reader())


def test_an_oracle_is_always_right() -> None:
    benchmark = AttributeBenchmark(SINGLE)
    assert isinstance(benchmark, Benchmark)
    result = benchmark(oracle(SINGLE))
    assert {name: e.value for name, e in result.items()} == {
        **{f"{attribute}/top1": 1 for attribute in WORDS},
        "combination/top1": 1,
    }
    assert all(estimate.share for estimate in result.values())
    assert result.counts["images"] == 150 and not result.skipped.counts
    assert set(result.details["per_class"]["size"]) == {"small", "medium", "large"}


def test_who_knows_nothing_guesses() -> None:
    result = AttributeBenchmark(SINGLE)(Noise())
    assert result.chance == pytest.approx(
        {
            "colour/top1": 1 / 8,
            "shape/top1": 1 / 8,
            "size/top1": 1 / 3,
            "texture/top1": 1 / 4,
            "combination/top1": 1 / 64,
        }
    )
    assert inside(result)
    same = AttributeBenchmark(SINGLE)(Constant())
    assert {name: e.value for name, e in same.items()} == pytest.approx(same.chance)


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    (some,) = SINGLE.split(40)
    whole = AttributeBenchmark(some)(Noise())
    monkeypatch.setattr(benchmarks, "BATCH", 7)
    assert AttributeBenchmark(some)(Noise()).figures == whole.figures


def test_a_similarity_of_tokens_averages_scores() -> None:
    (some,) = SINGLE.split(20)
    found = AttributeBenchmark(some)(TokenNoise())
    classes, model = AttributeBenchmark(some).classes()["shape"], Noise()
    right = []
    for i in range(20):
        image = model.encode_image([some[i].image])
        scores = {
            word: float(compare(COSINE, Features(image), Features(model.encode_text(t))).mean())
            for word, t in classes.items()
        }
        right.append(max(scores, key=lambda word: scores[word]) == some.scene(i).things[0].shape)
    assert found["shape/top1"].value == pytest.approx(sum(right) / 20)


def test_the_texts_of_a_class() -> None:
    words = Vocabulary(
        shapes=("square", "ring"), colours=("red", "blue"), sizes=("small", "large"), textures=("plain",)
    ).without("blue ring")
    classes = AttributeBenchmark(SINGLE, words).classes()
    assert set(classes) == {"colour", "shape", "size", "combination"}  # one texture is no choice
    assert set(classes["combination"]) == {"red square", "red ring", "blue square"}
    assert {text.removeprefix("a picture of ") for text in classes["colour"]["blue"]} >= {"a blue square"}
    for shape, colours in {"square": {"red", "blue"}, "ring": {"red"}}.items():
        assert {re.findall("red|blue", text)[0] for text in classes["shape"][shape]} == colours
    assert len(classes["size"]["large"]) == 3
    assert all(re.fullmatch("a (large|big) (red square|red ring|blue square)", t) for t in classes["size"]["large"])


def test_a_class_is_the_mean_of_directions() -> None:
    """Two colours and two shapes in the plane, worked by hand."""
    world = World(
        Sampler((1, 1), Vocabulary(("square", "ring"), ("red", "blue"), sizes=("small",), textures=("plain",)))
    )
    source = Held(30, size=24, world=world)
    directions = {"red square": 0.0, "red ring": 1.2, "blue square": 2.0, "blue ring": 2.2}  # radians

    class Plane(dict[str, Tensor]):
        def __missing__(self, text: str) -> Tensor:
            angle = torch.tensor(next(a for name, a in directions.items() if name in text))
            return 5 * (1 + angle) * torch.stack([angle.cos(), angle.sin()])  # lengths must not matter

    images = {image: Plane()[scene.things[0].name] for image, scene in scenes_of(source).items()}
    found = AttributeBenchmark(source)(Oracle(images, Plane()))
    names = [source.scene(i).things[0].name for i in range(30)]
    # red lies at 0.6 and blue at 2.1; square at 1.0 and ring at 1.7
    assert found["combination/top1"].value == found["colour/top1"].value == 1
    squares = names.count("red square") + names.count("blue square")
    assert found.details["per_class"]["shape"]["square"] == pytest.approx(names.count("red square") / squares)
    rings = names.count("red ring") + names.count("blue ring")
    assert found.details["per_class"]["shape"]["ring"] == pytest.approx(names.count("blue ring") / rings)


def test_scenes_of_several_things_are_left_out() -> None:
    source = Held(40, size=24)
    single = sum(len(source.scene(i).things) == 1 for i in range(40))
    result = AttributeBenchmark(source)(Noise())
    assert result.counts["images"] == single
    assert dict(result.skipped.counts) == {"several things": 40 - single}


def test_words_beside_the_vocabulary() -> None:
    result = AttributeBenchmark(SINGLE, Vocabulary(colours=("red", "green")))(Noise())
    assert result.skipped.counts["not of the vocabulary"] == 150 - result.counts["images"]
    assert result.chance["combination/top1"] == pytest.approx(1 / 16)


def test_nothing_to_choose() -> None:
    one = Vocabulary(("ring",), ("red",), sizes=("small",), textures=("plain",))
    with pytest.raises(DataError, match="one word for every attribute"):
        AttributeBenchmark(SINGLE, one)(Noise())
    with pytest.raises(DataError, match="nothing is left to evaluate: 20 x several things"):
        AttributeBenchmark(Held(20, size=24, world=World(Sampler((2, 2)))))(Noise())
