"""The tables of the page on performance, as the benchmarks print what lies in results/.

    python docs/tables.py

It writes what stands between the markers in docs/performance.md.
"""

import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from markers import filled

ROOT = Path(__file__).resolve().parents[1]
Found = dict[str, Any]


def whole(module: ModuleType, found: Found) -> str:
    return str(module.table(found))


def rows_alone(module: ModuleType, found: Found) -> str:
    return str(module.table(found["rows"]))


def with_stages(module: ModuleType, found: Found) -> str:
    parts = module.table(found["rows"]), module.stages_table(found["stages"]), module.cache_table(found["cache"])
    return "\n\n".join(parts)


def with_fits(module: ModuleType, found: Found) -> str:
    return f"{module.table(found['rows'])}\n\n{module.table_of_fits(found['fits'])}"


# Each marker's benchmark, the file of its result, and how the benchmark shows it.
BLOCKS: dict[str, tuple[str, str, Callable[[ModuleType, Found], str]]] = {
    "train_step": ("train_step", "train_step_cpu", rows_alone),
    "train_step_b32": ("train_step", "train_step_b32_cpu", rows_alone),
    "profile": ("profile_step", "profile_cpu", rows_alone),
    "loss": ("loss", "loss_cpu", whole),
    "loss_large": ("loss", "loss_large_cpu", whole),
    "grouped": ("grouped", "grouped_cpu", rows_alone),
    "data": ("data", "data_cpu", with_stages),
    "evaluate": ("evaluate", "evaluate_cpu", rows_alone),
    "finetune": ("finetune", "finetune_cpu", rows_alone),
    "scaling": ("scaling", "scaling_cpu", with_fits),
}


def block(name: str, results: Path) -> str:
    """A benchmark's tables under a line on the machine; a sentence where there is no result."""
    script, file, show = BLOCKS[name]
    path = results / f"{file}.json"
    if not path.is_file():
        return f"No result is kept: `results/{file}.json` does not exist."
    found = json.loads(path.read_text(encoding="utf-8"))
    on = f"On {found['device']}, torch {found['torch']}, Python {found['python']}."
    return f"{on}\n\n{show(_benchmark(script), found)}"


def _benchmark(script: str) -> ModuleType:
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(script)
    finally:
        sys.path.remove(folder)


def page(text: str, results: Path = ROOT / "results") -> str:
    """The page with all that stands between its markers as the results have it.

    Raises ValueError where a marker is missing.
    """
    return filled(text, {name: partial(block, name, results) for name in BLOCKS}, "performance.md")


def main() -> None:
    path = ROOT / "docs" / "performance.md"
    path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
