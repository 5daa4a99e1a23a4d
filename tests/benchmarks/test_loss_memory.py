"""What the loss needs beyond its inputs, as the system counts it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_memory_of_the_loss_grows_with_the_batch_and_not_with_its_square(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    sizes = ["--sizes", "8192", "32768", "--together", "0", "--only", "dovetail"]
    command = [sys.executable, str(ROOT / "benchmarks" / "loss.py"), *sizes, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    bytes_of = {(r["loss"], r["batch"]): r["bytes"] for r in json.loads(out.read_text(encoding="utf-8"))["rows"]}
    for name in {loss for loss, _ in bytes_of}:
        assert bytes_of[name, 32768] <= 4.6 * bytes_of[name, 8192], name
        assert bytes_of[name, 32768] < 2**30, "a quarter of the matrix in float32"
