"""Where a model is looked for, and what is said when it is not there."""

from pathlib import Path

import pytest

from dovetail.models import pretrained
from dovetail.models.files import CheckpointError
from dovetail.models.pretrained import load


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such folder; expected a run or checkpoint folder"):
        load(tmp_path / "nowhere")


def test_of_no_known_layout(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file: of no layout that can be opened. There are: a run or checkpoint"):
        load(tmp_path / "file")


@pytest.mark.parametrize("safe", [True, False])
def test_an_id_is_asked_of_the_hub_for_older_weights_where_there_are_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, safe: bool
) -> None:
    asked = []

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, "*.bin" in allow_patterns))
        return str(tmp_path)

    if safe:
        (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr(pretrained, "snapshot_download", snapshot)
    assert pretrained.located("owner/name") == tmp_path
    assert asked == ([("owner/name", False)] if safe else [("owner/name", False), ("owner/name", True)])


def test_the_real_client_honours_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="somebody/nothing: neither a file or folder here nor a model"):
        load("somebody/nothing")


def test_an_id_that_the_hub_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot(name: str, allow_patterns: list[str]) -> str:
        raise OSError("offline")

    monkeypatch.setattr(pretrained, "snapshot_download", snapshot)
    with pytest.raises(CheckpointError, match=r"owner/name: neither .* hub hands out \(offline\)"):
        load("owner/name")
