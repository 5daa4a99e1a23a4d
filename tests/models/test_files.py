"""Tensors and JSON on disk."""

from pathlib import Path

import pytest
import torch

from dovetail.models.files import load_tensors, read_json, save_tensors, write_json


def test_tensors_that_share_memory_are_stored_whole(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    tensors = {"a": base, "b": base, "c": torch.zeros(0), "d": torch.tensor(1.0)}
    save_tensors(tensors, tmp_path / "t.safetensors")
    found = load_tensors(tmp_path / "t.safetensors")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[k], v) for k, v in tensors.items())
    assert not list(tmp_path.glob("*.part"))


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json({"a": 1}, path)
    with pytest.raises(TypeError):
        write_json({"a": object()}, path)
    assert read_json(path) == {"a": 1}
