"""Writing in a layout: whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dovetail.models import convert
from dovetail.models.convert import converted, written
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, load_tensors, save_tensors
from dovetail.models.pretrained import load, save
from tests.models.small import TEXTS, model


def test_weights_keep_their_precision(tmp_path: Path) -> None:
    save(model(), tmp_path / "a")
    path = tmp_path / "a" / "model.safetensors"
    halves = {k: v.half() if v.ndim else v for k, v in load_tensors(path).items()}
    save_tensors(halves, path)
    written(converted(tmp_path / "a"), "dovetail", tmp_path / "b")
    found = load_tensors(tmp_path / "b" / "model.safetensors")
    assert {v.dtype for v in found.values()} == {torch.float16, torch.float32}
    assert all(torch.equal(found[k], v) for k, v in halves.items())
    assert {p.dtype for p in load(tmp_path / "b").parameters()} == {torch.float32}


def test_a_writer_that_gives_up_leaves_nothing_and_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def first(model: DualEncoder, folder: Path) -> Path:
        folder.mkdir()
        (folder / "half").touch()
        raise CheckpointError("no such towers")

    monkeypatch.setitem(convert.WRITERS, "dovetail", (first,))
    with pytest.raises(CheckpointError, match="cannot be written as dovetail: no such towers"):
        written(model(), "dovetail", tmp_path / "b")
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(convert.WRITERS, "dovetail", (first, save))
    written(model(), "dovetail", tmp_path / "b")
    assert [p.name for p in tmp_path.iterdir()] == ["b"] and not (tmp_path / "b" / "half").exists()


def test_resized_on_the_way(tmp_path: Path) -> None:
    save(model(), tmp_path / "a")
    found = converted(tmp_path / "a", size=48, context=8)
    assert found.preprocessing.size == 48
    assert np.array_equal(found.eval().encode_text(TEXTS), load(tmp_path / "a", context=8).encode_text(TEXTS))
