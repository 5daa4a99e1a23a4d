"""Small real files for the tests of the data sources."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image


def jpeg(shade: int, size: tuple[int, int] = (8, 6)) -> bytes:
    """The bytes of a JPEG of one shade; different shades give different bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 255 - shade, shade // 2)).save(buffer, "JPEG", comment=str(shade))
    return buffer.getvalue()


def pictures(folder: Path, *names: str) -> None:
    """Writes a JPEG of its own shade under each name."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(10 * i))


def json_lines(path: Path, *rows: Any) -> Path:
    """Writes one JSON value a line; a text goes in as it is."""
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def shard(path: Path, members: Mapping[str, bytes | str]) -> Path:
    """Writes a tar file with these members in this order."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def texts(record: Any) -> list[str]:
    """The texts of a record's captions."""
    return [caption.text for caption in record.captions]


def everything(stream: Any, units: Iterable[str] | None = None) -> list[Any]:
    """All records of a stream, unit by unit."""
    return [record for unit in (units or stream.units()) for record in stream.read(unit)]
