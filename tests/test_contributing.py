"""The example in CONTRIBUTING.md is a method by the rules of the house, and its oracle agrees with it."""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail import catalogue
from dovetail.contracts import PairLoss
from dovetail.ops.contrast import row_losses
from tests.house import rules

PAGE = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
METHOD, ORACLE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_keeps_the_rules_and_its_oracle_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "src" / "dovetail" / "methods" / "pair_losses" / "hinge.py"
    path.parent.mkdir(parents=True)
    path.write_text(METHOD, encoding="utf-8")
    assert rules.cards(tmp_path) == rules.one_class(tmp_path) == rules.layers(tmp_path) == []

    monkeypatch.setattr(catalogue, "_entries", {})
    spec = importlib.util.spec_from_file_location("dovetail.methods.pair_losses.hinge", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    hinge = module.Hinge()
    assert isinstance(hinge, PairLoss)

    names: dict[str, Any] = {"torch": torch, "Tensor": Tensor}
    exec(ORACLE, names)
    scores = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    targets = (torch.rand(4, 5) > 0.5).double()
    ours, theirs = row_losses(hinge, scores, targets), names["oracle"](scores, targets)
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(rows.sum(), scores)[0] for rows in (ours, theirs)]
    torch.testing.assert_close(*gradients)
