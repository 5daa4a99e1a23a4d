"""Records with false captions beside the true ones."""

from collections.abc import Iterator
from pathlib import Path

from dovetail.contracts import Kind
from dovetail.data.falsehoods import english, true_texts, with_falsehoods
from dovetail.data.records import Caption, Record, Region
from dovetail.data.worlds.draws import Draws

RECORD = Record(
    image=Path("a.jpg"),
    captions=(
        Caption("a dog"),
        Caption("ein Hund", language="de"),
        Caption("A Dog runs.", Kind.LONG, "en-GB"),
        Caption("a cat", Kind.NEGATIVE),
    ),
    name="a",
    id=7,
    label="puppy",
    regions=(Region((0, 0, 1, 1), "a tail"),),
)


def test_what_is_true_and_english() -> None:
    assert [c.text for c in english(RECORD)] == ["a dog", "A Dog runs."]
    assert true_texts(RECORD) == ["a dog", "A Dog runs.", "a tail", "puppy"]


def _made(text: str, draws: Draws) -> Iterator[str]:
    yield from ("A  dog", "a cat.", "a dog runs", f"{text} away", f"{text} away", f"{text} home", f"{text} far")


def test_adds_what_nobody_has_said() -> None:
    found = with_falsehoods(RECORD, 2, ("x", 0), _made)
    assert found.captions[:4] == RECORD.captions
    assert found.captions[4:] == (
        Caption("a dog away", Kind.NEGATIVE),
        Caption("a dog home", Kind.NEGATIVE),
        Caption("A Dog runs. away", Kind.NEGATIVE, "en-GB"),
        Caption("A Dog runs. home", Kind.NEGATIVE, "en-GB"),
    )


def test_a_record_of_which_nothing_false_is_known_stays() -> None:
    assert with_falsehoods(RECORD, 2, (), lambda text, draws: ()) is RECORD
    assert with_falsehoods(RECORD, 0, (), _made) is RECORD


def test_draws_depend_on_key_record_and_caption() -> None:
    def drawn(text: str, draws: Draws) -> list[str]:
        return [str(draws.below(1 << 30))]

    def texts(key: int, number: int) -> list[str]:
        record = Record(Path("a.jpg"), (Caption("a dog"), Caption("a cat")), "a", number)
        return [c.text for c in with_falsehoods(record, 1, (key,), drawn).captions[2:]]

    assert texts(0, 1) == texts(0, 1)
    assert len({*texts(0, 1), *texts(1, 1), *texts(0, 2)}) == 6
