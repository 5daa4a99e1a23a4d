"""big_vision's files, written from a SiglipModel of transformers, give its numbers."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dovetail
from dovetail.models.files import CheckpointError
from dovetail.models.layouts import big_vision as layout
from dovetail.models.pretrained import layout_of, save
from tests.models import hf_pair, small
from tests.models.layouts.test_spiece import written
from tests.models.layouts.test_transformers import agree, numbers, theirs
from tests.models.test_siglip_weights import big_vision


def arrays(model: Any) -> dict[str, np.ndarray]:
    """The towers differ in the number of heads, which no weight of torch shows."""
    return big_vision({k: v.detach() for k, v in model.state_dict().items()}, (4, 3))


def saved(folder: Path, name: str = "webli_32_1.npz", root: str = "params/", **vision: Any) -> tuple[Any, Path]:
    model = hf_pair.siglip(folder / "theirs", **vision)
    np.savez(folder / name, **{root + k: v for k, v in arrays(model).items()})
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / "theirs" / file, folder)
    return model, folder / name


@pytest.mark.parametrize("root", ["params/", ""])
def test_gives_the_numbers_of_transformers(root: str, tmp_path: Path) -> None:
    model, path = saved(tmp_path, root=root)
    assert layout_of(path) is layout
    ours, images = dovetail.load(path), small.pictures(3)
    agree(numbers(ours, images), theirs(model, tmp_path / "theirs", ours, images, "max_length"))
    assert ours.preprocessing.mean == (0.5, 0.5, 0.5) and ours.preprocessing.resize == "squash"


def test_pixels_left_over_are_in_the_name(tmp_path: Path) -> None:
    model, path = saved(tmp_path, patch_size=7)
    ours, images = dovetail.load(path), small.pictures(2)
    assert ours.preprocessing.size == 32
    agree(numbers(ours, images), theirs(model, tmp_path / "theirs", ours, images, "max_length"))
    shutil.copy(path, tmp_path / "unnamed.npz")
    assert dovetail.load(tmp_path / "unnamed.npz").preprocessing.size == 28


def test_the_tokenizer_lies_beside(tmp_path: Path) -> None:
    _, path = saved(tmp_path)
    stated = dovetail.load(path).tokenizer
    (tmp_path / "tokenizer_config.json").unlink()
    alone = dovetail.load(path).tokenizer
    assert alone.fill and torch.equal(alone(["the red dog"]).ids[:, :4], stated(["the red dog"]).ids[:, :4])
    (tmp_path / "tokenizer.json").unlink()
    written(tmp_path / "sentencepiece.model")
    found = dovetail.load(path).tokenizer
    assert found(["A red dog!"]).ids.tolist() == [[4, 5, 6] + [1] * (hf_pair.CONTEXT - 3)]
    (tmp_path / "sentencepiece.model").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: the file is missing\. A \.npz of big_vision has no"):
        dovetail.load(path)


def test_half_precision_is_kept(tmp_path: Path) -> None:
    model, path = saved(tmp_path)
    held = {k: torch.from_numpy(v).bfloat16() for k, v in arrays(model).items()}
    np.savez(path, **{k: v.view(torch.int16).numpy().view("V2") for k, v in held.items()})
    assert {p.dtype for p in layout.read(path).parameters()} == {torch.bfloat16}


def test_recognises_its_own_alone(tmp_path: Path) -> None:
    _, path = saved(tmp_path)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("text")
    shutil.copy(path, tmp_path / "model.zip")
    save(small.model(), tmp_path / "ours")
    for name in ("other.npz", "text.npz", "model.zip", "ours", "nothing.npz", "theirs"):
        assert not layout.recognises(tmp_path / name), name


def test_files_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    model, path = saved(tmp_path)
    held = arrays(model)
    for name, message in (
        ("img/Transformer/encoderblock_0/MultiHeadDotProductAttention_0/query/kernel", "no SigLIP of big_vision's"),
        ("t", "no SigLIP of big_vision's"),
        ("img/MAPHead_0/probe", r"misses 1 tensors, e\.g\. image\.pool\.probe"),
    ):
        np.savez(path, **{k: v for k, v in held.items() if k != name})
        with pytest.raises(CheckpointError, match=rf"webli_32_1\.npz:? {message}"):
            dovetail.load(path)
    np.savez(path, **held, **{"img/cls": np.zeros((1, 1, 32))})
    with pytest.raises(CheckpointError, match=r"img\.cls is no tensor of big_vision's SigLIP"):
        dovetail.load(path)
    np.savez(path, **held, extra=np.array([{}], dtype=object))
    with pytest.raises(CheckpointError, match=r"broken, or holds more than arrays"):
        dovetail.load(path)
