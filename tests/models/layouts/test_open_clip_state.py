"""Files that hold tensors, and what is said of those that do not; nothing in them is executed."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from dovetail.models.files import CheckpointError
from dovetail.models.layouts.open_clip_state import bare, tensors_in


class _Trap:
    """Would leave a trace if it were unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    for save in (torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))):
        save({"state_dict": {"a": torch.zeros(1)}, "args": _Trap(tmp_path / "trace")}, tmp_path / "x.pt")
        with pytest.raises(CheckpointError, match=r"x.pt: .*save the state_dict alone"):
            tensors_in(tmp_path / "x.pt")
        assert not (tmp_path / "trace").exists()


def test_a_script_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "x.pt"))
    with pytest.raises(CheckpointError, match=r"TorchScript archive.*torch.jit.load\('x.pt', map_location='cpu'\)"):
        tensors_in(tmp_path / "x.pt")


def test_says_what_is_wrong(tmp_path: Path) -> None:
    place = tmp_path / "x.pt"
    with pytest.raises(CheckpointError, match="the file is missing"):
        tensors_in(place)
    for content in (b"", b"PK\x03\x04 broken", b"no pickle at all"):
        place.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"x\.pt: "):
            tensors_in(place)
    for held in ([1, 2], {"epoch": 3}, {"state_dict": [torch.zeros(1)]}):
        torch.save(held, place)
        with pytest.raises(CheckpointError, match="holds no tensors by name"):
            tensors_in(place)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    place = tmp_path / "x.pt"
    torch.save({"a": torch.zeros(1000)}, place)
    place.write_bytes(place.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match=r"x\.pt: "):
        tensors_in(place)


def test_nested_wrappers_are_taken_off() -> None:
    assert bare({"module._orig_mod.module.a": torch.zeros(1)}).keys() == {"a"}
    assert bare({}) == {}
