"""A contact sheet: scenes with their captions underneath, as one picture."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from dovetail.contracts import Kind
from dovetail.data.records import Record
from dovetail.data.worlds.pictures.render import Flat, Style

_INK, _PAPER, _FRAME = (28, 28, 32), (255, 255, 255), (214, 214, 216)
_INKS = {Kind.LONG: (118, 120, 126), Kind.NEGATIVE: (190, 40, 40)}
_MARGIN = 24


def contact_sheet(
    records: Sequence[Record],
    columns: int = 4,
    cell: int = 256,
    style: Style = Flat(),  # noqa: B008 (frozen)
) -> Image.Image:
    """Records of a world, painted anew at `cell` pixels, with their captions below; long ones grey, negatives red."""
    cells = [_cell(record, cell, style) for record in records]
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    heights = [max(c.height for c in row) + _MARGIN for row in rows]
    sheet = Image.new("RGB", (_MARGIN + min(columns, len(cells)) * (cell + _MARGIN), _MARGIN + sum(heights)), _PAPER)
    top = _MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, picture in enumerate(row):
            sheet.paste(picture, (_MARGIN + column * (cell + _MARGIN), top))
        top += height
    return sheet


def _cell(record: Record, size: int, style: Style) -> Image.Image:
    """One scene above its captions."""
    points = max(10, size // 20)
    font = ImageFont.load_default(points)
    line, gap = round(points * 1.3), round(points * 0.4)
    texts = [(_wrapped(c.text, font, size), _INKS.get(c.kind, _INK)) for c in record.captions]
    height = size + sum(len(lines) * line + gap for lines, _ in texts) + gap
    cell = Image.new("RGB", (size, height), _PAPER)
    cell.paste(Image.fromarray(style(record.extra["scene"], size).image))
    draw, top = ImageDraw.Draw(cell), size + 2 * gap
    draw.rectangle((0, 0, size - 1, size - 1), outline=_FRAME)
    for lines, ink in texts:
        for text in lines:
            draw.text((0, top), text, ink, font)
            top += line
        top += gap
    return cell


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """The text in lines of at most `width` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
