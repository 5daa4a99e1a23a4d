"""What the default from scratch reaches on Flickr8k in a given time, on this machine.

    python benchmarks/flickr8k.py --data DATA/flickr8k --minutes 15 --out results/f8k_cpu.json

DATA/flickr8k holds train.jsonl and dev.jsonl. The run is `dovetail train` with no option but the data and the time;
dev is measured, and chooses among the evaluations during training, but is never trained on.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import yaml

import dovetail
from dovetail.training.log import read_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--out", type=Path, default=Path("results/f8k_cpu.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "f8k"
        files = ["--data", options.data / "train.jsonl", "--val", options.data / "dev.jsonl"]
        command = [
            sys.executable,
            "-m",
            "dovetail.cli.main",
            "train",
            *files,
            "--out",
            run,
            "--minutes",
            options.minutes,
        ]
        subprocess.run([str(word) for word in command], check=True)
        found = result(run, options.minutes)
    part = options.out.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    part.rename(options.out)
    print(json.dumps(found["figures"], indent=1))


def result(run: Path, minutes: float) -> dict[str, object]:
    """The figures on dev with their intervals, the log, and on what they were made."""
    measured = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["results"][0]
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    rows = read_log(run / "log.jsonl")
    return {
        "command": f"dovetail train --data train.jsonl --val dev.jsonl --minutes {minutes:g}",
        "figures": measured["figures"],
        "chance": measured["chance"],
        "counts": measured["counts"],
        "images_seen": max(row.get("images", 0) for row in rows),
        "config": {k: v for k, v in config.items() if k not in ("data", "val", "out")},
        "machine": {"processor": processor(), "cores": len(os.sched_getaffinity(0)), "gpu": torch.cuda.is_available()},
        "versions": {"dovetail": dovetail.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "log": rows,
    }


def processor() -> str:
    """The processor's name, as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
