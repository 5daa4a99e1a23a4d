"""Weights of transformers folders, whole, in parts and pickled."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dovetail.models.files import CheckpointError
from dovetail.models.layouts.transformers_weights import weights_of

TENSORS = {
    "a.weight": torch.arange(6.0).view(2, 3),
    "b.bias": torch.ones(2, dtype=torch.bfloat16),
    "c": torch.tensor(1.5),
}


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == TENSORS.keys() and all(
        torch.equal(found[k], v) and found[k].dtype == v.dtype for k, v in TENSORS.items()
    )


def test_one_safetensors_file_goes_before_a_pickled_one(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    torch.save({"other": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    found, source = weights_of(tmp_path)
    assert same(found) and source.name == "model.safetensors"


def test_a_pickled_file(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "pytorch_model.bin")
    found, source = weights_of(tmp_path)
    assert same(found) and source.name == "pytorch_model.bin"


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_several_files_with_an_index(name: str, tmp_path: Path) -> None:
    parts = {key: f"part-{i % 2}{Path(name).suffix}" for i, key in enumerate(TENSORS)}
    for part in set(parts.values()):
        held = {k: v for k, v in TENSORS.items() if parts[k] == part}
        save_file(held, tmp_path / part) if "safe" in name else torch.save(held, tmp_path / part)
    (tmp_path / f"{name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": parts}))
    found, source = weights_of(tmp_path)
    assert same(found) and source.name == f"{name}.index.json"
    (tmp_path / parts["a.weight"]).unlink()
    with pytest.raises(CheckpointError, match=r"part-0\..*: the file is missing"):
        weights_of(tmp_path)


@pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'])
def test_an_index_of_another_kind(content: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"index\.json: has no weight_map"):
        weights_of(tmp_path)


def test_an_index_stays_in_its_folder(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    (tmp_path / "in").mkdir()
    content = {"weight_map": {"a": "../model.safetensors"}}
    (tmp_path / "in" / "model.safetensors.index.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"'\.\./model\.safetensors' is no name of a file in its folder"):
        weights_of(tmp_path / "in")


class Evil:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_nothing_but_tensors_is_unpickled(tmp_path: Path) -> None:
    path, trace = tmp_path / "pytorch_model.bin", tmp_path / "trace"
    torch.save({"a": Evil(trace)}, path)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: broken, or holds more than tensors"):
        weights_of(tmp_path)
    path.write_bytes(pickle.dumps(Evil(trace)))
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: broken"):
        weights_of(tmp_path)
    assert not trace.exists()
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="holds something else than tensors by their names"):
        weights_of(tmp_path)


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has neither model\.safetensors nor pytorch_model\.bin"):
        weights_of(tmp_path)
    path = tmp_path / "pytorch_model.bin"
    torch.save(TENSORS, path)
    for content in (path.read_bytes()[:300], b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: broken"):
            weights_of(tmp_path)
