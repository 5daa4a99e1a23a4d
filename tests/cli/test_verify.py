"""`dovetail verify` from the command line, on claims that take a second."""

import json
from pathlib import Path

import pytest

from dovetail.cli import verify as command
from dovetail.cli.main import main
from dovetail.evaluation.claims.claim import Found
from tests.evaluation.claims import small


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for results and trainings; the only claim is a small one of siglip."""

    def claims(keys: list[str], contract: str | None, everything: bool, scale: str) -> list[Found]:
        return [small.found()]

    monkeypatch.setattr(command, "claims", claims)
    return tmp_path


def run(folder: Path, *more: str) -> None:
    main(["verify", "siglip", "--results", str(folder / "results"), "--work", str(folder / "work"), *more])


def test_what_is_stale_is_run_and_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder)
    held = json.loads((folder / "results" / "siglip.json").read_text())
    told = capsys.readouterr()
    assert held["verdict"] in told.out and "It is better." in told.out
    written = (folder / "results" / "siglip.json").stat().st_mtime_ns
    run(folder)
    told = capsys.readouterr()
    assert "unchanged since they were measured: siglip" in told.err and held["verdict"] in told.out
    assert (folder / "results" / "siglip.json").stat().st_mtime_ns == written


def test_a_dry_run_says_what_is_stale(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "--dry_run")
    assert "to be run: siglip" in capsys.readouterr().err and not (folder / "work").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify"], "name the methods to verify, or give --contract CONTRACT or --all"),
        (["verify", "sigclip"], "siglip"),
        (["verify", "cosine"], "cosine has no claim"),
        (["verify", "--all", "--jobs", "0"], "--jobs 0: give a number above 0"),
        (["verify", "--all", "--scale", "gpu"], "there is no GPU here"),
    ],
)
def test_mistakes_are_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "gpu" in arguments and command.has_gpu():
        pytest.skip("there is one")
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
