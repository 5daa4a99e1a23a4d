"""Putting a model on the hub, against a client that keeps everything here."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.errors import OfflineModeIsEnabled

import dovetail
from dovetail.cli import push as command
from dovetail.cli.main import main
from dovetail.models import pretrained
from tests.models.layouts import open_clips


class Hub:
    """What the client does with a hub, in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.private: dict[str, bool] = {}

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        self.private[name] = private
        (self.folder / name).mkdir(parents=True, exist_ok=True)

    def upload_folder(self, repo_id: str, folder_path: Path, commit_message: str) -> None:
        shutil.copytree(folder_path, self.folder / repo_id, dirs_exist_ok=True)

    def snapshot(self, name: str, allow_patterns: list[str]) -> str:
        return str(self.folder / name)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path / "hub")
    monkeypatch.setattr(command, "HfApi", lambda: made)
    monkeypatch.setattr(pretrained, "snapshot_download", made.snapshot)
    return made


def test_what_was_pushed_can_be_loaded(trained: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    main(["push", "run", "--to", "somebody/colours", "--private"])
    assert hub.private == {"somebody/colours": True}
    found, kept = dovetail.load("somebody/colours"), dovetail.load(trained / "run")
    assert np.array_equal(found.encode_text(["red 3"]), kept.encode_text(["red 3"]))
    sent = {p.name for p in (hub.folder / "somebody/colours").iterdir()}
    assert sent == {
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessing.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_the_card_tells_data_objective_figures_and_use(trained: Path, hub: Hub) -> None:
    main(["push", str(trained / "run"), "--to", "somebody/colours"])
    path = hub.folder / "somebody/colours" / "README.md"
    card = ModelCard.load(path)
    assert card.data.library_name == "dovetail" and card.data.pipeline_tag == "zero-shot-image-classification"
    text = path.read_text(encoding="utf-8")
    assert "- data: train.csv\n" in text and str(trained) not in text
    assert "- objective: `infonce`" in text and "Representation Learning with Contrastive Predictive Coding" in text
    assert 'dovetail.load("somebody/colours")' in text
    figures = json.loads((trained / "run" / "metrics.json").read_text())["results"][0]["figures"]
    first = figures["text_to_image/R@1"]
    row = f"| text_to_image/R@1 | {100 * first['value']:.1f} | {100 * first['low']:.1f} to {100 * first['high']:.1f} |"
    assert row in text


def test_open_clip_looks_for_the_tokenizer_under_the_id(hub: Hub, tmp_path: Path) -> None:
    open_clips.saved(open_clips.config(text={"vocab_size": 400, "hf_tokenizer_name": "words"}), tmp_path / "clip")
    open_clips.words(tmp_path / "clip", bert=True)
    main(["push", str(tmp_path / "clip"), "--to", "somebody/clip", "--layout", "open_clip"])
    sent = json.loads((hub.folder / "somebody/clip" / "open_clip_config.json").read_text())
    assert sent["model_cfg"]["text_cfg"]["hf_tokenizer_name"] == "somebody/clip"
    card = (hub.folder / "somebody/clip" / "README.md").read_text()
    assert "hf-hub:somebody/clip" in card and "not trained by a run" in card


def test_a_dry_run_sends_nothing(trained: Path, hub: Hub, tmp_path: Path) -> None:
    main(["push", str(trained / "run"), "--to", "somebody/colours", "--dry", str(tmp_path / "dry")])
    assert not hub.private and (tmp_path / "dry" / "README.md").is_file()


@pytest.mark.parametrize(
    ("error", "told"),
    [(OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE is set"), (OSError("401"), "is `hf auth login` done")],
)
def test_a_hub_that_refuses_is_explained(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, told: str
) -> None:
    class Refusing:
        def create_repo(self, *args: Any, **kwargs: Any) -> None:
            raise error

    monkeypatch.setattr(command, "HfApi", Refusing)
    with pytest.raises(SystemExit):
        main(["push", str(trained / "run"), "--to", "somebody/colours"])
    assert told in " ".join(capsys.readouterr().err.split())


def test_the_real_client_honours_offline(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SystemExit):
        main(["push", str(trained / "run"), "--to", "somebody/colours"])
    assert "HF_HUB_OFFLINE is set" in " ".join(capsys.readouterr().err.split())


def test_an_id_of_another_form(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["push", str(trained / "run"), "--to", "a/b/c"])
    assert "--to a/b/c" in " ".join(capsys.readouterr().err.split())
