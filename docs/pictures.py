"""The pictures and the example tables of the page on worlds, from what the code gives.

    python docs/pictures.py

It writes docs/images/worlds*.png, and what stands between the markers in docs/worlds.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from texts import SCENE, page

from dovetail.data.worlds import (
    EDITS,
    SHIFTS,
    STYLES,
    Sampler,
    Scene,
    Scenes,
    Style,
    Telling,
    Thing,
    Vocabulary,
    World,
    contact_sheet,
    counterfactual,
    split,
)
from dovetail.data.worlds.facts import BACKGROUNDS, COLOURS, MOTIONS, SHAPES, SIZES, TEXTURES, VIEWPOINTS
from dovetail.data.worlds.pictures.video import video

DOCS = Path(__file__).resolve().parent
INK, SOFT, PAPER, FRAME = (28, 28, 32), (104, 106, 112), (255, 255, 255), (206, 206, 210)
INSTANCES = ((226, 228, 232), (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
             (140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207))  # fmt: skip
GAP, POINTS = 14, 16
FONT = ImageFont.load_default(POINTS)

Drawn = Image.Image


# Laying out


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` pixels."""
    lines: list[str] = []
    for word in text.split():
        if lines and FONT.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def under(picture: Drawn, text: str, ink: tuple[int, int, int] = INK) -> Drawn:
    """The picture with a text below it."""
    lines = wrapped(text, picture.width)
    made = Image.new("RGB", (picture.width, picture.height + 6 + len(lines) * (POINTS + 4)), PAPER)
    made.paste(picture)
    for k, line in enumerate(lines):
        ImageDraw.Draw(made).text((0, picture.height + 5 + k * (POINTS + 4)), line, ink, FONT)
    return made


def table(rows: Sequence[Sequence[Drawn]], heads: Sequence[str] = (), sides: Sequence[str] = ()) -> Drawn:
    """Pictures in rows and columns, with titles over the columns and beside the rows."""
    beside = round(max(FONT.getlength(side) for side in sides)) + GAP if sides else 0
    widths = [max(row[k].width for row in rows if k < len(row)) for k in range(max(map(len, rows)))]
    heights = [max(cell.height for cell in row) for row in rows]
    top = POINTS + 10 if heads else 0
    size = GAP + beside + sum(w + GAP for w in widths), GAP + top + sum(h + GAP for h in heights)
    made = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(made)
    for k, head in enumerate(heads):
        draw.text((GAP + beside + sum(widths[:k]) + k * GAP, GAP), head, SOFT, FONT)
    y = GAP + top
    for k, (row, height) in enumerate(zip(rows, heights, strict=True)):
        if sides:
            draw.text((GAP, y + row[0].width / 2), sides[k], SOFT, FONT, anchor="lm")
        x = GAP + beside
        for cell, width in zip(row, widths, strict=False):
            made.paste(cell, (x, y))
            x += width + GAP
        y += height + GAP
    return made


def framed(array: np.ndarray) -> Drawn:
    """An array as a picture with a thin frame."""
    made = Image.fromarray(array)
    ImageDraw.Draw(made).rectangle((0, 0, made.width - 1, made.height - 1), outline=FRAME)
    return made


# Views of a scene


def shown(scene: Scene, size: int, style: Style = STYLES["flat"]) -> Drawn:
    return framed(style(scene, size).image)


def depth(scene: Scene, size: int, style: Style) -> Drawn:
    """Near is light, far is dark."""
    found = style(scene, size).depth
    assert found is not None
    grey = 235 - (found - found.min()) / max(float(np.ptp(found)), 1e-6) * 205
    return framed(np.repeat(grey.astype(np.uint8)[..., None], 3, 2))


def mask(scene: Scene, size: int, style: Style) -> Drawn:
    """A colour for each thing."""
    return framed(np.array(INSTANCES, np.uint8)[style(scene, size).mask])


def boxes(scene: Scene, size: int, style: Style) -> Drawn:
    """The picture with the numbered box of each thing."""
    picture = style(scene, size)
    made = framed(picture.image)
    draw = ImageDraw.Draw(made)
    for number, box in enumerate(picture.boxes):
        left, top, right, bottom = (round(edge * size) for edge in box)
        draw.rectangle((left, top, right - 1, bottom - 1), outline=INK, width=2)
        draw.rectangle((left, top, left + 17, top + 20), fill=INK)
        draw.text((left + 9, top + 10), str(number), PAPER, FONT, anchor="mm")
    return made


def first(sampler: Sampler, wanted: Callable[[Scene], bool]) -> Scene:
    """The first scene of seed 0 that is wanted."""
    return next(scene for index in count() if wanted(scene := sampler(0, index)))


def moves(how: str) -> Callable[[Scene], bool]:
    return lambda scene: any(thing.motion == how for thing in scene.things)


# The pictures


def sheet() -> Drawn:
    """Twelve scenes: a column for each style."""
    telling = Telling(("full", "related", "writing"))
    front = Sampler((2, 5), alike=0.2, writing=0.2)
    samplers = {"flat": front, "textured": front, "solid": replace(front, viewpoints=VIEWPOINTS)}
    tables = [Scenes(4, 5 + k, world=World(s, STYLES[n], telling)) for k, (n, s) in enumerate(samplers.items())]
    records = [table[row] for row in range(4) for table in tables]
    styles = {id(record.extra["scene"]): STYLES[list(STYLES)[k % 3]] for k, record in enumerate(records)}
    return contact_sheet(records, len(STYLES), 330, lambda scene, size: styles[id(scene)](scene, size))


def styles() -> Drawn:
    scene = first(Sampler((4, 4)), lambda s: len({t.texture for t in s.things}) == 4)
    views = {"image": shown, "depth": depth, "mask": mask, "boxes": boxes}
    return table([[view(scene, 215, s) for view in views.values()] for s in STYLES.values()], list(views), list(STYLES))


def viewpoints() -> Drawn:
    scene = first(Sampler((3, 3)), lambda s: {t.size for t in s.things} == set(SIZES))
    seen = [replace(scene, viewpoint=viewpoint) for viewpoint in VIEWPOINTS]
    views = {"image": shown, "depth": depth, "mask": mask}
    rows = [[view(s, 170, STYLES["solid"]) for s in seen] for view in views.values()]
    return table(rows, VIEWPOINTS, list(views))


def objects() -> Drawn:
    numbers = (1, 2, 4, 6, 8, 10)
    return table([[shown(Sampler((n, n))(1, n), 150) for n in numbers]], [f"objects=({n}, {n})" for n in numbers])


def alike() -> Drawn:
    rows = []
    for rate in (0.0, 1.0):
        scenes = Scenes(5, seed=1, world=World(Sampler((3, 5), alike=rate), telling=Telling(("counts",))))
        rows.append(
            [under(shown(r.extra["scene"], 172), r.captions[0].text) for r in map(scenes.__getitem__, range(5))]
        )
    return table(rows, sides=("alike=0.0", "alike=1.0"))


def writing() -> Drawn:
    scenes = Scenes(6, world=World(Sampler(writing=1.0), telling=Telling(("writing",))))
    painted = ((scenes[k], list(STYLES.values())[k // 2]) for k in range(6))
    return table([[under(shown(r.extra["scene"], 158, style), r.captions[0].text) for r, style in painted]])


def tail() -> Drawn:
    tails = (0.0, 1.0, 2.0)
    large = Vocabulary(sizes=("large",), textures=("plain",), backgrounds=("white",))
    rows = [[shown(Sampler((1, 1), large, tail=tail)(0, i), 66) for i in range(11)] for tail in tails]
    return table(rows, sides=[f"tail={tail}" for tail in tails])


def vocabulary() -> Drawn:
    plain = Thing("square", "blue", "large", "plain", 500, 500, 330)
    heart = replace(plain, shape="heart", colour="red", radius=400)
    radii = {"small": 136, "medium": 184, "large": 244}
    rows = {
        "shapes": [(replace(plain, shape=word, radius=400), "white", word) for word in SHAPES],
        "colours": [(replace(plain, colour=word), "white", word) for word in COLOURS],
        "textures": [(replace(heart, texture=word), "white", word) for word in TEXTURES],
        "sizes": [(replace(plain, size=word, radius=radii[word]), "white", word) for word in SIZES],
        "backgrounds": [(heart, word, word) for word in BACKGROUNDS],
    }
    cells = [[under(shown(Scene((t,), ground), 98), word) for t, ground, word in row] for row in rows.values()]
    return table(cells, sides=list(rows))


def motion() -> Drawn:
    films = [video(first(Sampler((2, 3), motion=1.0), moves(how)), 8, 104) for how in MOTIONS]
    return table([[framed(frame) for frame in film.frames] for film in films], sides=MOTIONS)


def edits() -> Drawn:
    cells, roomy = [], Sampler((2, 3), Vocabulary(sizes=("small", "medium")))
    for index, kind in enumerate(EDITS):
        scene = roomy(12, index)
        edit = counterfactual(scene, (12, index), (kind,))
        pair = Image.new("RGB", (470, 216), PAPER)
        pair.paste(shown(scene, 216))
        pair.paste(shown(edit.scene, 216), (254, 0))
        ImageDraw.Draw(pair).line((224, 108, 245, 108), SOFT, 3)
        ImageDraw.Draw(pair).polygon(((242, 101), (251, 108), (242, 115)), SOFT)
        cells.append(under(pair, f"{kind}: {edit.instruction}"))
    return table([cells[k : k + 2] for k in range(0, len(cells), 2)])


def splits() -> Drawn:
    """Those that pictures show: three scenes of each side."""
    visible = [name for name, shift in SHIFTS.items() if shift.train.telling == shift.test.telling]
    rows = []
    for name in visible:
        train, test = split(name, 3, 3, seed=6)
        sides = ([shown(side.scene(i), 112, side.world.style) for i in range(3)] for side in (train, test))
        rows.append([*next(sides), Image.new("RGB", (8, 112), PAPER), *next(sides)])
    return table(rows, ("train", "", "", "", "test"), visible)


def scene() -> Drawn:
    """The scene of the tables of texts."""
    solid = STYLES["solid"]
    return table([[shown(SCENE, 300, solid), boxes(SCENE, 300, solid)]])


PICTURES: dict[str, Callable[[], Drawn]] = {
    "worlds": sheet,
    **{
        f"worlds-{make.__name__}": make
        for make in (styles, viewpoints, objects, alike, writing, tail, vocabulary, motion, edits, splits, scene)
    },
}


def main() -> None:
    for name, make in PICTURES.items():
        path = DOCS / "images" / f"{name}.png"
        make().save(path, optimize=True)
        print(f"{path.relative_to(DOCS.parent)}: {path.stat().st_size // 1000} kB")
    path = DOCS / "worlds.md"
    path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
