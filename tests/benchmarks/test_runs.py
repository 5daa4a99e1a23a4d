"""Every benchmark runs from its command line at a tiny size and writes what it found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "loss": ["--sizes", "64", "--rounds", "1"],
    "evaluate": ["--images", "30", "--classes", "10"],
    "scaling": ["--batches", "64", "128", "--galleries", "100", "200", "--rows", "100", "200", "--records", "8", "16"],
    "grouped": ["--processes", "2", "--groups", "1", "2", "--batch", "8", "--steps", "2"],
}


SLOW = {"evaluate", "scaling", "grouped"}  # each starts many processes


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in TINY])
def test_a_tiny_run_prints_a_table_and_writes_the_same(name: str, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *TINY[name], "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    printed = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows and all(row["seconds"] > 0 for row in rows)
    assert len(printed) >= 1 + len(rows)
