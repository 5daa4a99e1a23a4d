"""The commands of the page on many processes run as they stand there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_for_one_machine(tmp_path: Path) -> None:
    quickstart = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    pictures = re.search(r"^```python\n(.*?)^```$", quickstart, re.MULTILINE | re.DOTALL)
    (commands,) = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert pictures is not None and commands.count("torchrun --nproc-per-node 2 ") == 3
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": os.pathsep.join(folders), "PYTHONPATH": str(ROOT / "src")}
    for run in ([sys.executable, "-c", pictures[1]], ["bash", "-euc", commands]):
        done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert (tmp_path / "runs" / "two" / "report.html").stat().st_size > 0
    assert len((tmp_path / "embeddings" / "records-00000.jsonl").read_text().splitlines()) == 16
    assert done.stderr.count("records done; the embeddings lie in embeddings") == 1  # one of them speaks


def test_its_options_exist() -> None:
    from dovetail.cli.main import _parser, spelled_out
    from dovetail.cli.train import train

    page = PAGE.replace("\\\n", " ")
    commands = re.findall(r"(?:dovetail|-m dovetail\.cli\.main) train (--.*)", page)
    assert len(commands) == 6
    for command in commands:
        options = shlex.split(re.sub(r"--config \S+", "--data photos.csv", command))
        _parser("train").parse_args(["train", *spelled_out(options, train)])
