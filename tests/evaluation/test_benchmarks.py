"""The benchmarks read a source, ask the model, skip and count what cannot be used, and say what they measured."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dovetail.contracts import Benchmark, Features, Kind
from dovetail.data.records import Caption, DataError, ImageLike, Problems, Record
from dovetail.evaluation import benchmarks
from dovetail.evaluation.benchmarks import RetrievalBenchmark, ZeroShotBenchmark
from dovetail.evaluation.matching import COSINE
from dovetail.evaluation.retrieval import RetrievalResult, retrieval
from tests.evaluation.similarities import LateInteraction

BROKEN = np.zeros((1, 1), np.uint8)


class Unusable(DataError):
    cause = "image too small"


def vector(word: str) -> Tensor:
    """A direction of its own for every word."""
    return torch.randn(16, generator=torch.Generator().manual_seed(sum(ord(c) * 131**i for i, c in enumerate(word))))


def picture(word: str) -> np.ndarray:
    return np.frombuffer(word.encode(), np.uint8)[None]


class Model:
    """Knows a picture's word, and takes the last word of a text."""

    similarity: Any = COSINE

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode_image(self, images: list[ImageLike]) -> Any:
        if any(image is BROKEN for image in images):
            raise Unusable("1 x 1 pixels")
        return torch.stack([vector(bytes(np.asarray(image)).decode()) for image in images])

    def encode_text(self, texts: list[str]) -> Any:
        self.texts += texts
        return torch.stack([vector(text.rstrip(".").split()[-1]) for text in texts]).numpy()


class TokenModel(Model):
    """The same, but it compares sequences of tokens, whose lengths differ from batch to batch."""

    similarity = LateInteraction()

    def encode_image(self, images: list[ImageLike]) -> Features:
        return self._sequence(super().encode_image(images), 1 + len(images) % 3)

    def encode_text(self, texts: list[str]) -> Features:
        return self._sequence(torch.from_numpy(super().encode_text(texts)), 2)

    def _sequence(self, x: Tensor, n: int) -> Features:
        unit = torch.nn.functional.normalize(x, dim=1)
        return Features(x, unit[:, None].expand(-1, n, -1), torch.ones(len(x), n).bool())


class Records:
    """A table of records; some rows were already lost on the way."""

    def __init__(self, records: list[Record]) -> None:
        self.name, self.problems, self._records = "records", Problems(), records
        self.problems.add("empty caption", "records line 99")

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, i: int) -> Record:
        return self._records[i]


class Shards(Records):
    """The same as a stream of shards of three."""

    __len__ = __getitem__ = None  # type: ignore[assignment]

    def units(self) -> list[str]:
        return [str(i) for i in range(0, len(self._records), 3)]

    def read(self, unit: str) -> Iterator[Record]:
        yield from self._records[int(unit) : int(unit) + 3]


WORDS = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"]


def record(i: int, word: str, *captions: Caption, image: ImageLike | None = None, label: str | None = None) -> Record:
    return Record(picture(word) if image is None else image, captions, f"records line {i}", i, label)


def captioned() -> list[Record]:
    records = [record(i, word, Caption(f"a {word}"), Caption(f"one {word}")) for i, word in enumerate(WORDS)]
    records[2] = record(2, "cat", Caption("a cat"), Caption("an owl", Kind.NEGATIVE), Caption("  "))
    return [
        *records,
        record(8, "ibis", Caption("an ibis"), image=BROKEN),
        record(9, "jay"),
        record(10, "kite", Caption("an eel", Kind.NEGATIVE)),
    ]


@pytest.mark.parametrize("source", [Records, Shards])
def test_retrieval(source: type[Records]) -> None:
    benchmark, model = RetrievalBenchmark(source(captioned()), name="held-out"), Model()
    assert isinstance(benchmark, Benchmark)
    result = benchmark(model)
    assert result["text_to_image/R@1"].value == result["image_to_text/R@1"].value == 1
    assert result.name == "held-out"
    assert result.counts == {"images": 8, "captions": 15}
    assert dict(result.skipped.counts) == {"image too small": 1, "no caption": 2, "empty caption": 1}
    assert result.skipped.examples["image too small"] == ["records line 8"]
    assert set(result.chance) == set(result)
    assert "an owl" not in model.texts and "an ibis" not in model.texts
    evidence = result.evidence
    assert [r.id for r in evidence.records] == list(range(8))
    assert [evidence.texts[i] for i in (0, 4, 14)] == ["a ant", "a cat", "one hen"]
    assert evidence.owner.tolist() == [0, 0, 1, 1, 2, *[i for i in range(3, 8) for _ in range(2)]]
    assert isinstance(evidence.full, RetrievalResult)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    whole = RetrievalBenchmark(Records(captioned()))(Model())
    monkeypatch.setattr(benchmarks, "BATCH", batch)
    for model in (Model(), TokenModel()):
        parts = RetrievalBenchmark(Records(captioned()))(model)
        assert parts.figures == whole.figures
        assert parts.skipped.counts == whole.skipped.counts
        assert torch.equal(parts.evidence.images.pooled, whole.evidence.images.pooled)


def test_equal_ids_of_records_are_right_answers() -> None:
    same = [record(5, "ant", Caption("a bee")), record(5, "bee", Caption("a ant")), record(6, "cat", Caption("a cat"))]
    found = RetrievalBenchmark(Records(same))(Model())
    assert found["text_to_image/R@1"].value == 1
    x = torch.stack([vector(w) for w in ("ant", "bee", "cat")])
    assert retrieval(x, x[[1, 0, 2]], [0, 1, 2]).figures["text_to_image/R@1"].value == pytest.approx(1 / 3)


def test_limit_and_ks() -> None:
    result = RetrievalBenchmark(Records(captioned()), ks=(2,), limit=4)(Model())
    assert result.counts["images"] == 4
    assert next(iter(result)) == "image_to_text/R@2"


def test_captions_of_some_kinds() -> None:
    told = [
        record(0, "ant", Caption("a ant"), Caption("two words of ant", Kind.LONG), Caption("no ant", Kind.NEGATIVE)),
        record(1, "bee", Caption("a bee")),
        record(2, "cat", Caption("a long text about a cat", Kind.LONG)),
    ]
    long, model = RetrievalBenchmark(Records(told), kinds=(Kind.LONG, Kind.NEGATIVE)), Model()
    result = long(model)
    assert model.texts == ["two words of ant", "a long text about a cat"]
    assert result.counts == {"images": 2, "captions": 2}
    assert result.skipped.examples["no caption"] == ["records line 1"]
    short = Model()
    assert RetrievalBenchmark(Records(told), kinds=(Kind.RAW,))(short).counts["images"] == 2
    assert short.texts == ["a ant", "a bee"]


def labelled() -> list[Record]:
    return [
        *[record(i, word, label=word) for i, word in enumerate(WORDS[:6])],
        record(6, "ant", label="bee"),
        record(7, "gnu"),
        record(8, "hen", label="hen"),
        record(9, "ant", image=BROKEN, label="ant"),
    ]


def test_zero_shot() -> None:
    benchmark = ZeroShotBenchmark(Records(labelled()), class_names=tuple(WORDS[:6]), templates=("a {}.", "the {}."))
    assert isinstance(benchmark, Benchmark)
    model = Model()
    result = benchmark(model)
    assert result.counts == {"images": 7, "classes": 6}
    assert result["top1"].value == pytest.approx(6 / 7)
    assert result["mean_per_class"].value == pytest.approx((5 + 0.5) / 6)
    assert result.chance["top1"] == pytest.approx(1 / 6)
    skipped = {"no label": 1, "label not among the classes": 1, "image too small": 1, "empty caption": 1}
    assert dict(result.skipped.counts) == skipped
    assert result.skipped.examples["label not among the classes"] == ["records line 8: hen"]
    assert model.texts[:3] == ["a ant.", "the ant.", "a bee."]
    assert result.details["confusions"] == [{"true": "bee", "predicted": "ant", "count": 1, "share": 0.5}]
    assert result.details["per_class"]["bee"] == 0.5


def test_classes_are_the_labels_that_occur() -> None:
    result = ZeroShotBenchmark(Records(labelled()))(Model())
    assert list(result.details["per_class"]) == ["ant", "bee", "cat", "dog", "elk", "fox", "hen"]
    assert result.details["templates"] == ["a photo of a {}."]


def test_nothing_left_says_why() -> None:
    with pytest.raises(DataError, match=r"nothing is left to evaluate: 1 x image too small, e.g. records line 0"):
        RetrievalBenchmark(Records([record(0, "ant", Caption("a ant"), image=BROKEN)]))(Model())
    with pytest.raises(DataError, match="nothing is left to evaluate: 8 x no label"):
        ZeroShotBenchmark(Records(captioned()[:8]))(Model())
    with pytest.raises(DataError, match=r"has no \{\} where"):
        ZeroShotBenchmark(Records(labelled()), templates=("a photo",))(Model())


def test_an_error_that_is_not_of_the_data_is_not_swallowed() -> None:
    class Faulty(Model):
        def encode_image(self, images: list[ImageLike]) -> Any:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        RetrievalBenchmark(Records(captioned()))(Faulty())
