"""The benchmark of data loading runs at a tiny size: every contender, the stages, and what the cache takes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_tiny_run_measures_every_contender(tmp_path: Path) -> None:
    lines = ["filepath,title"]
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((90, 80)).save(tmp_path / f"{i}.jpg")
        lines.append(f"{i}.jpg,photo {i} of a few")
    (tmp_path / "photos.csv").write_text("\n".join(lines), encoding="utf-8")
    small = {"sides": 60, "sizes": 24, "files": 8, "batch": 2, "batches": 1, "workers": 1, "rounds": 1}
    options = [word for name, value in small.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, str(ROOT / "benchmarks" / "data.py"), "--data", str(tmp_path / "photos.csv"), *options]
    done = subprocess.run([*command, "--out", str(tmp_path / "found.json")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert [row["contender"] for row in found["rows"]] == list(found["contenders"])
    assert all(row["images_per_second"] > 0 for row in found["rows"]) and found["rows"][0]["of_limit"] == 1
    assert all(row["ms"] > 0 for row in found["stages"]) and len(found["stages"]) == 4
    kept = found["cache"][0]
    assert kept["shorter_side"] == 40 and 40 * 45 * 3 <= kept["bytes_per_image"] < 40 * 45 * 3 + 100
    assert 0 < kept["difference"] < 20
    assert len([line for line in done.stdout.splitlines() if line.startswith("| ")]) == 1 + 8 + 1 + 4 + 1 + 1
