"""From one layout to another on the command line."""

from pathlib import Path

import numpy as np
import pytest

import dovetail
from dovetail.cli.main import main
from dovetail.models.files import load_tensors
from dovetail.models.pretrained import save
from tests.models.small import TEXTS, model


def test_to_our_own_layout_bit_for_bit(tmp_path: Path) -> None:
    save(model(bias=-2.0), tmp_path / "a")
    main(["convert", str(tmp_path / "a"), "--to", "dovetail", "--out", str(tmp_path / "b")])
    first, second = (load_tensors(tmp_path / name / "model.safetensors") for name in "ab")
    assert first.keys() == second.keys() and all(np.array_equal(first[k], v) for k, v in second.items())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_to_larger_pictures_and_longer_texts(tmp_path: Path) -> None:
    save(model(), tmp_path / "a")
    sizes = ["--size", "48", "--context", "64", "--stretch", "preserving"]
    main(["convert", str(tmp_path / "a"), "--out", str(tmp_path / "b"), *sizes])
    found = dovetail.load(tmp_path / "b")
    assert found.preprocessing.size == 48 and found.tokenizer.context == 64
    np.testing.assert_allclose(
        found.encode_text(TEXTS[:1]), dovetail.load(tmp_path / "a").encode_text(TEXTS[:1]), atol=1e-5
    )


@pytest.mark.parametrize("to", ["transformers", "open_clip"])
def test_towers_that_a_library_does_not_have(tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    save(model(), tmp_path / "a")
    with pytest.raises(SystemExit):
        main(["convert", str(tmp_path / "a"), "--to", to, "--out", str(tmp_path / "b")])
    assert f"this model cannot be written as {to}: " in " ".join(capsys.readouterr().err.split())
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(model(), tmp_path / "a")
    with pytest.raises(SystemExit):
        main(["convert", str(tmp_path / "a"), "--out", str(tmp_path / "a")])
    assert "exists already" in capsys.readouterr().err
