"""How fast worlds are made: pictures of 64 px a second in each style, and full records with captions and boxes.

    python benchmarks/worlds.py

Several processes work at once, each on scenes of its own and on one thread, as a data loader's workers do. The facts
are drawn beforehand for the pictures, and within the measured time for the records. Wanted: 1,000 flat pictures a
second of two processes on two cores.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from dovetail.data.worlds.pictures.styles import STYLES
from dovetail.data.worlds.sampling import Sampler
from dovetail.data.worlds.scenes import Scenes

SIZE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of work a process, for each number")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(options.processes) as pool:
        list(pool.map(records, range(options.processes), [0.1] * options.processes))  # everybody has started
        work = {name: partial(pictures, name) for name in STYLES} | {"records": records}
        rates = {}
        for name, function in work.items():
            found = list(pool.map(function, range(options.processes), [options.seconds] * options.processes))
            rates[name] = round(sum(found))
    told = {"size": SIZE, "processes": options.processes, "cores": os.cpu_count(), "per_second": rates}
    print(json.dumps(told, indent=2))


def pictures(style: str, seed: int, seconds: float) -> float:
    """Pictures a second of this process."""
    scenes = [Sampler()(seed, i) for i in range(200)]
    started, made = time.perf_counter(), 0
    while (taken := time.perf_counter() - started) < seconds:
        STYLES[style](scenes[made % len(scenes)], SIZE)
        made += 1
    return made / taken


def records(seed: int, seconds: float) -> float:
    """Records a second of this process."""
    table = Scenes(1_000_000, seed=seed, size=SIZE)
    started, made = time.perf_counter(), 0
    while (taken := time.perf_counter() - started) < seconds:
        table[made]
        made += 1
    return made / taken


if __name__ == "__main__":
    main()
