"""The tables of examples on the page on worlds, and what its example prints, as the code gives them."""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import fields, is_dataclass, replace

from markers import filled

from dovetail.contracts import Kind
from dovetail.data.records import Record
from dovetail.data.worlds import (
    SHIFTS,
    Noise,
    Sampler,
    Scenes,
    Telling,
    World,
    dialogue,
    negatives,
    questions,
    referring,
)
from dovetail.data.worlds.words.english import RARE
from dovetail.data.worlds.words.languages import LANGUAGES
from dovetail.data.worlds.words.noise import SORTS
from dovetail.data.worlds.words.plan import TELLS

EXAMPLE = Sampler((4, 4), alike=0.6, writing=1.0, motion=1.0, viewpoints=("left",))
KEY = (0, 194)  # seed and index of a scene for which every kind of text has an example
SCENE = EXAMPLE(*KEY)
ALONE = (0, 0)  # of a scene with one thing, of which alone its place is told


def rows(heads: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *cells]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def told(telling: Telling, sampler: Sampler = EXAMPLE, key: tuple[int, int] = KEY) -> Record:
    return Scenes(1, key[0], first=key[1], world=World(sampler, telling=telling))[0]


def texts(record: Record) -> list[str]:
    return [caption.text for caption in record.captions]


def captions_table() -> str:
    cells = []
    for tell in TELLS:
        place = told(Telling((tell,)), replace(EXAMPLE, objects=(1, 1)), ALONE)
        cells.append((f"`{tell}`", "<br>".join(texts(place if tell == "place" else told(Telling((tell,)))))))
    return rows(("kind", "captions"), cells)


def languages_table() -> str:
    tells = ("short", "related", "moving")
    record = told(Telling(tells, languages=tuple(LANGUAGES.values())))
    cells = [
        (f"`{code}`", "<br>".join(c.text for c in record.captions if c.language == code and c.kind is Kind.RAW))
        for code in LANGUAGES
    ]
    return rows(("language", "captions"), cells)


def noise_table() -> str:
    clean = texts(told(Telling(("short",))))[0]
    cells = [
        (f"`{s}`", clean, "<br>".join(texts(told(Telling(("short",), Noise(**{s: 1.0}))))) or "(no caption)")
        for s in SORTS
    ]
    return rows(("noise", "without", "with"), cells)


def rare_table() -> str:
    words = ", ".join(f"{rare} ({usual})" for usual, rare in RARE.items())
    sides = [texts(told(Telling(("full",), rare=rate)))[0] for rate in (0.0, 1.0)]
    return f"English has {words}.\n\n" + rows(("`rare=0.0`", "`rare=1.0`"), [sides])


def negatives_table() -> str:
    return rows(("kind", "true", "false"), ((f"`{n.kind}`", n.true, n.false) for n in negatives(SCENE, KEY)))


def questions_table() -> str:
    cells = ((f"`{q.kind}`", q.text, q.answer) for q in questions(SCENE, KEY))
    return rows(("kind", "question", "answer"), cells)


def referring_table() -> str:
    cells = ((str(e.thing), f"`{e.manner}`", e.text) for e in referring(SCENE, KEY))
    return rows(("thing", "manner", "expression"), cells)


def dialogue_table() -> str:
    return rows(("role", "content"), ((turn["role"], turn["content"]) for turn in dialogue(SCENE, KEY)))


def splits_table() -> str:
    cells = []
    for name, shift in SHIFTS.items():
        before, after = settings(shift.train), settings(shift.test)
        sides = (
            "<br>".join(f"`{k.rpartition('.')[2]}={s[k]}`" for k in s if before[k] != after[k]) for s in (before, after)
        )
        cells.append((f"`{name}`", shift.asks, *sides))
    return rows(("split", "what the test asks", "train", "test"), cells)


def settings(knobs: object, path: str = "") -> dict[str, str]:
    """Every knob of a world, by its name with dots."""
    if not is_dataclass(knobs) or not fields(knobs):
        text = f"{len(knobs)} combinations" if isinstance(knobs, frozenset) else repr(knobs)
        return {path: text}
    return {
        name: text
        for field in fields(knobs)
        for name, text in settings(getattr(knobs, field.name), f"{path}.{field.name}".strip(".")).items()
    }


def printed(code: str) -> str:
    """What the example prints."""
    with redirect_stdout(io.StringIO()) as out:
        exec(code, {"__name__": "example"})
    return f"```text\n{out.getvalue().rstrip()}\n```"


TABLES: dict[str, Callable[[], str]] = {
    "captions": captions_table,
    "languages": languages_table,
    "noise": noise_table,
    "rare": rare_table,
    "negatives": negatives_table,
    "questions": questions_table,
    "referring": referring_table,
    "dialogue": dialogue_table,
    "splits": splits_table,
}


def page(text: str) -> str:
    """The page with all that stands between its markers as the code gives it.

    Raises ValueError where a marker or the example is missing.
    """
    code = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if code is None:
        raise ValueError("docs/worlds.md has no example in Python; expected a block that starts with ```python")
    return filled(text, {**TABLES, "output": lambda: printed(code[1])}, "worlds.md")
