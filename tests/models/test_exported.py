"""What is said of a folder that holds no export. (The numbers: `test_export.py`.)"""

from pathlib import Path

import pytest

from dovetail.models.exported import Exported
from dovetail.models.files import CheckpointError, write_json

pytest.importorskip("onnxruntime")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"export\.json: the file is missing"):
        Exported(tmp_path)


def test_of_another_format(tmp_path: Path) -> None:
    write_json({"format": "other"}, tmp_path / "export.json")
    with pytest.raises(
        CheckpointError, match=r"export\.json: not the notes of an export; expected format 'dovetail-onn"
    ):
        Exported(tmp_path)


def test_a_precision_that_was_not_written(tmp_path: Path) -> None:
    write_json({"format": "dovetail-onnx-1", "files": {"float32": {}}}, tmp_path / "export.json")
    with pytest.raises(CheckpointError, match="holds no int8; there are: float32"):
        Exported(tmp_path, "int8")
