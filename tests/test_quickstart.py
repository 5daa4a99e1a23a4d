"""The quickstart runs as it stands: its Python and shell blocks, in order, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = f'#!/bin/sh\nexec "{sys.executable}" -c "from dovetail.cli.main import main; main()" "$@"\n'


@pytest.mark.slow
@pytest.mark.timeout(900)  # several trainings, beside whatever else the machine does
def test_quickstart(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "dovetail"
    command.parent.mkdir()
    command.write_text(COMMAND)
    command.chmod(0o755)
    path = {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    folder = tmp_path / "empty"
    folder.mkdir()

    blocks = BLOCK.findall((ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8"))
    assert [language for language, _ in blocks] == ["python", "bash", "bash", "bash", "python", "bash"]
    for language, block in blocks:
        run = [sys.executable, "-c", block] if language == "python" else ["bash", "-euc", block]
        done = subprocess.run(run, cwd=folder, env=os.environ | path, capture_output=True, text=True)
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert (folder / "runs" / "first" / "report.html").stat().st_size > 0
    assert any((folder / "embeddings").iterdir())
