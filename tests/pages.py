"""The scripts beside the pages that write parts of them."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).resolve().parents[1] / "docs"


@contextmanager
def script(name: str) -> Iterator[ModuleType]:
    """The script docs/NAME.py, imported as `python docs/NAME.py` would find it."""
    sys.path.insert(0, str(DOCS))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(DOCS))
        sys.modules.pop(name, None)
