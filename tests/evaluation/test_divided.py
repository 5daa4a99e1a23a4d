"""Evaluation and embedding by several processes give what one gives."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dovetail.contracts import Features
from dovetail.data.images import ImageProblem
from dovetail.data.sources import open_source
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.divided import Divided
from dovetail.evaluation.embed import embed
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pretrained import load
from tests import runs
from tests.evaluation.test_adapter import _Tokens
from tests.processes import run as in_processes

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 20, 24, 3), dtype=np.uint8)
SENTENCES = [" ".join(["square"] * (1 + i % 5)) for i in range(11)]


def _models() -> list[Embedder]:
    """One whose similarity looks at pooled vectors, and one that compares tokens."""
    torch.manual_seed(0)
    whole = runs.model()
    tokens = DualEncoder(whole.image, whole.text, 16, whole.preprocessing, whole.tokenizer, _Tokens())
    return [Embedder(whole), Embedder(tokens)]


def _encoded(rank: int) -> list[Features]:
    models = [Divided(model) for model in _models()]
    return [f for m in models for f in (m.encode_image(list(PIXELS)), m.encode_text(SENTENCES), m.encode_text(["a"]))]


def _names_of_broken(rank: int, path: Path) -> str:
    model = Divided(_models()[0])
    with pytest.raises(ImageProblem) as broken:
        model.encode_image([*PIXELS[:4], path])  # the fifth is the first process's
    return broken.value.cause


def _counted(rank: int) -> int:
    """How many pictures this process decodes of seven."""
    model, seen = _models()[0], []
    encode = model.encode_image
    model.encode_image = lambda images: (seen.extend(images), encode(images))[1]  # type: ignore[method-assign]
    Divided(model).encode_image(list(PIXELS))
    return len(seen)


def _checks(rank: int, path: Path) -> tuple[list[Features], str, int]:
    return _encoded(rank), _names_of_broken(rank, path), _counted(rank)


@pytest.mark.parametrize("processes", [2, 3])
def test_all_processes_get_what_one_would_compute(tmp_path: Path, processes: int) -> None:
    expected = _encoded(0)
    answers = in_processes(_checks, processes, tmp_path / "gone.jpg")
    assert [n for _, _, n in answers] == {2: [4, 3], 3: [3, 2, 2]}[processes]
    for found, cause, _ in answers:
        assert cause == "missing image"
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine.pooled, theirs.pooled, atol=1e-6, rtol=1e-5)
            if theirs.tokens is not None and theirs.mask is not None:
                assert mine.tokens is not None and mine.mask is not None
                assert torch.equal(mine.mask, theirs.mask)
                there = theirs.mask[..., None]
                torch.testing.assert_close(mine.tokens * there, theirs.tokens * there, atol=1e-5, rtol=1e-4)


def _command(rank: int, arguments: list[str]) -> None:
    from dovetail.cli.main import main

    os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"})
    main(arguments)


def test_the_command_evaluate_is_that_of_one_process(trained: Path, tmp_path: Path) -> None:
    for name, colour in (("red", (250, 0, 0)), ("green", (0, 250, 0)), ("blue", (0, 0, 250))):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (40, 32 + i), colour).save(tmp_path / "classes" / name / f"{i}.png")
    data = ["--data", str(trained / "train.csv"), str(tmp_path / "classes")]  # of the former two are broken
    outs = [tmp_path / "one.json", tmp_path / "two.json"]
    for out, processes in zip(outs, (1, 2), strict=True):
        in_processes(_command, processes, ["evaluate", str(trained / "run"), *data, "--out", str(out)])
    one, two = (json.loads(out.read_text())["results"] for out in outs)
    assert len(one) == len(two) == 2 and one[0]["counts"] == two[0]["counts"] == {"images": 62, "captions": 62}
    for mine, theirs in zip(two, one, strict=True):
        assert mine["figures"].keys() == theirs["figures"].keys()
        for key, figure in theirs["figures"].items():
            assert mine["figures"][key]["value"] == pytest.approx(figure["value"], abs=1e-6)


def _embed(rank: int, trained: Path, out: Path) -> None:
    """In four parts, so that every process has some."""
    source = open_source(str(trained / "train.csv"))
    assert list(embed(load(trained / "run"), source, out, 0, part=16))


def test_embeddings_are_those_of_one_process(trained: Path, tmp_path: Path) -> None:
    for processes in (1, 3):
        in_processes(_embed, processes, trained, tmp_path / str(processes))
    one, three = (sorted((tmp_path / name).iterdir()) for name in ("1", "3"))
    assert [path.name for path in one] == [path.name for path in three] and len(one) == 4 * 3
    assert all(mine.read_bytes() == theirs.read_bytes() for mine, theirs in zip(one, three, strict=True))


def test_the_command_embed_is_that_of_one_process(trained: Path, tmp_path: Path) -> None:
    data = ["--data", str(trained / "train.csv"), "--workers", "0"]  # one part: the second process has nothing to do
    for out, processes in ((tmp_path / "one", 1), (tmp_path / "two", 2)):
        in_processes(_command, processes, ["embed", str(trained / "run"), *data, "--out", str(out)])
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two and "source.json" in one and "records-00000.jsonl" in one
