"""Our own layout: what comes back is what was saved, what is broken is named, and nothing is executed."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import dovetail
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, load_tensors, read_json, save_tensors, write_json
from dovetail.models.pretrained import load, save
from tests.models.small import TEXTS, model, pictures

FILES = ("model.safetensors", "config.json", "preprocessing.json", "tokenizer.json", "tokenizer_config.json")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return save(model(bias=-4.0), tmp_path_factory.mktemp("runs") / "deep" / "run")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(saved, tmp_path / "run"))


@pytest.mark.parametrize("bias", [None, -4.0])
def test_what_was_saved_comes_back_bit_for_bit(bias: float | None, tmp_path: Path) -> None:
    first = model(bias)
    second = dovetail.load(save(first, tmp_path / "run"))
    assert not second.training
    assert np.array_equal(first.encode_image(pictures(3)), second.encode_image(pictures(3)))
    assert np.array_equal(first.encode_text(TEXTS), second.encode_text(TEXTS))
    labels = ["cat", "dog"]
    chances = [m.classify(pictures(2), labels).probabilities for m in (first, second)]
    assert np.array_equal(*chances)
    assert second.preprocessing == first.preprocessing
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


def test_towers_that_share_a_space_need_no_maps(tmp_path: Path) -> None:
    first = model()
    bare = DualEncoder(first.image, first.text, None, first.preprocessing, first.tokenizer, first.alike)
    assert bare.embed_dim == 16 and not any("projection" in name for name in bare.state_dict())
    second = load(save(bare, tmp_path / "run"))
    assert np.array_equal(bare.eval().encode_text(TEXTS), second.encode_text(TEXTS))
    assert second.embed_dim == 16 and not second.projected


def test_a_folder_holds_these_files_and_no_others(saved: Path) -> None:
    assert sorted(p.name for p in saved.iterdir()) == sorted(FILES)
    config = json.loads((saved / "config.json").read_text())
    assert config["format"] == "dovetail-1"
    assert str(saved) not in (saved / "config.json").read_text()


def test_saving_again_replaces(folder: Path) -> None:
    other = model()
    save(other, folder)
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    assert np.array_equal(load(folder).encode_text(TEXTS), other.encode_text(TEXTS))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"{name}: (the file is missing|there is no such file)"):
        load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_ends_early_is_named(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=rf"{name}( line \d+)?: (broken|not JSON|damaged)"):
        load(folder)


@pytest.mark.parametrize("name", FILES)
def test_an_empty_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    with pytest.raises(ValueError, match=name):
        load(folder)


def test_weights_of_another_model_are_refused(folder: Path, tmp_path: Path) -> None:
    other = save(model(width=32), tmp_path / "other")
    shutil.copy(other / "model.safetensors", folder)
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors misses 1 tensors, e\.g\. bias; is it from another model"
    ):
        load(folder)
    other = save(model(bias=1.0, width=32), tmp_path / "other")
    shutil.copy(other / "model.safetensors", folder)
    with pytest.raises(
        CheckpointError, match=r"has the wrong shape for \d+ tensors, e\.g\. image\.positions \(16, 32\) for \(16, 16\)"
    ):
        load(folder)
    fitting = load_tensors(save(model(bias=1.0), tmp_path / "another") / "model.safetensors")
    save_tensors({**fitting, "extra": torch.ones(1)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"has unexpected 1 tensors, e\.g\. extra"):
        load(folder)


Change = Callable[[dict], object]  # type: ignore[type-arg]
CHANGES: dict[str, tuple[Change, str]] = {
    "another format": (lambda c: c.update(format="dovetail-99"), "the format is 'dovetail-99', this version reads"),
    "no format": (lambda c: c.pop("format"), "the format is None"),
    "a missing entry": (lambda c: c.pop("embed_dim"), "the entry 'embed_dim' is missing"),
    "an unknown tower": (lambda c: c["image"].update(method="vitt"), "no Encoder is called 'vitt'; did you mean vit"),
    "an unknown option": (lambda c: c["image"]["options"].update(window=7), "unexpected keyword argument 'window'"),
    "an unknown contract": (lambda c: c["text"].update(contract="Encoderr"), "no contract is called 'Encoderr'"),
}


@pytest.mark.parametrize("change, message", CHANGES.values(), ids=CHANGES)
def test_a_configuration_of_another_version_is_explained(folder: Path, change: Change, message: str) -> None:
    config = read_json(folder / "config.json")
    change(config)
    write_json(config, folder / "config.json")
    with pytest.raises(CheckpointError, match=rf"config\.json: .*{message}"):
        load(folder)


@pytest.mark.parametrize("content", ["[]", "3", '"dovetail-1"', "null"])
def test_a_configuration_that_is_no_object_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json: the format is None"):
        load(folder)


def test_a_preprocessing_of_another_version_is_explained(folder: Path) -> None:
    held = read_json(folder / "preprocessing.json")
    write_json({**held, "swirl": 3}, folder / "preprocessing.json")
    with pytest.raises(ValueError, match="unknown swirl"):
        load(folder)


class Evil:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_unpickled(folder: Path, tmp_path: Path, name: str) -> None:
    trace = tmp_path / "trace"
    for write in (lambda path: path.write_bytes(pickle.dumps(Evil(trace))), lambda path: torch.save(Evil(trace), path)):
        write(folder / name)
        with pytest.raises(ValueError, match=name):
            load(folder)
    assert not trace.exists()
