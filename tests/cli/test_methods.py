"""The list of methods."""

import json

import pytest

from dovetail.catalogue import entries
from dovetail.cli.main import main


def test_the_table_has_every_method(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    main(["methods"])
    lines = capsys.readouterr().out.splitlines()
    for entry in entries():
        rows = [line for line in lines if line.strip().startswith(f"{entry.key} ")]  # one for each contract
        cited = f"{entry.citation['authors']}, {entry.citation['year']}"
        assert [entry.summary in row and cited in row for row in rows].count(True) == 1
    for contract in {entry.contract for entry in entries()}:
        assert [line.strip() for line in lines].count(contract) == 1


def test_json_holds_what_a_program_needs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["methods", "--json"])
    listed = {(m["contract"], m["key"]): m for m in json.loads(capsys.readouterr().out)}
    assert listed.keys() == {(e.contract, e.key) for e in entries()}
    siglip = listed["PairLoss", "siglip"]
    assert siglip["name"] == "SigLIP" and "yes-or-no question" in siglip["summary"]
    assert siglip["citation"] == {
        "authors": "Zhai et al.", "title": "Sigmoid Loss for Language Image Pre-Training", "year": "2023",
    }  # fmt: skip
    assert siglip["options"]["initial_bias"]["default"] == "-10.0"
    assert "float" in siglip["options"]["initial_bias"]["type"]
