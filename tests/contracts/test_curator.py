"""What every Curator must do."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from dovetail.contracts import Batch, Curator, Kind
from dovetail.data.records import Caption, Record, Region
from tests.contracts.samples import Make, samples
from tests.language_models import fill_mask

CURATORS = pytest.mark.parametrize("make", samples(Curator))
BOX = (0.0, 0.0, 0.5, 1.0)
NEEDS = {"several captions", "long captions", "synthetic captions", "negative captions"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_mask(tmp_path_factory.mktemp("curator") / "fill-mask", ("kite", "tree", "car"))


@pytest.fixture(autouse=True)
def _beside_the_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model.parent)


def _records() -> list[Record]:
    """One with everything, one with little, one with nothing that is known, one in another language."""
    return [
        Record(
            image=Path("a.jpg"),
            captions=(
                Caption("Two red dogs to the left of an open door"),
                Caption("Two dogs sitting, a man behind a car.", Kind.LONG),
                Caption("dogs near a small house", Kind.SYNTHETIC, "en"),
                Caption("three dogs", Kind.NEGATIVE),
            ),
            name="a",
            id=1,
            label="dog",
            regions=(Region(BOX, "a dog"), Region(BOX, "the second dog")),
            extra={"split": "train"},
        ),
        Record(image=b"...", captions=(Caption("six old cars and a blue bus in front of a church"),), name="b", id=2),
        Record(image=Path("c.jpg"), captions=(Caption("?"),), name="c", id=2),
        Record(image=Path("d.jpg"), captions=(Caption("ein roter Hund", language="de"),), name="d", id=4),
    ]


@CURATORS
def test_says_what_it_requires(make: Make) -> None:
    curator = make()
    assert isinstance(curator.requires, tuple)
    assert set(curator.requires) <= {f.name for f in fields(Batch)} | NEEDS


@CURATORS
def test_reads_a_record_only_when_it_is_asked_for_one(make: Make) -> None:
    read = []

    def stream() -> Iterator[Record]:
        for record in _records():
            read.append(record.name)
            yield record

    out = iter(make()(stream()))
    assert not read
    next(out)
    assert read == ["a"]
    assert [r.name for r in out] == ["b", "c", "d"]


@CURATORS
def test_leaves_what_is_known_as_it_is(make: Make) -> None:
    before = _records()
    for old, new in zip(before, make()(before), strict=True):
        assert new.image is old.image
        assert (new.name, new.id, new.label, new.regions, new.extra) == (
            old.name,
            old.id,
            old.label,
            old.regions,
            old.extra,
        )
        assert new.captions[: len(old.captions)] == old.captions
    assert before == _records()


@CURATORS
def test_what_it_adds_as_false_says_nothing_that_is_true(make: Make) -> None:
    added = 0
    for old, new in zip(_records(), make()(_records()), strict=True):
        texts = [c.text.casefold() for c in new.captions]
        assert len(set(texts)) == len(texts)
        false = [c for c in new.captions[len(old.captions) :] if c.kind == Kind.NEGATIVE]
        assert all(c.text.strip() == c.text != "" for c in false)
        added += len(new.captions) - len(old.captions)
    assert added


@CURATORS
def test_a_record_becomes_the_same_in_any_company(make: Make) -> None:
    together = list(make()(_records()))
    assert list(make()(_records())) == together
    assert list(make()(reversed(_records()))) == together[::-1]
    curator = make()
    assert [next(iter(curator([record]))) for record in _records()] == together
    assert list(make()([])) == []
