"""Claims are found in the test files of their methods."""

import pytest

from dovetail.catalogue import CatalogueError, entries, lookup
from dovetail.contracts import PairLoss
from dovetail.data.records import DataError
from dovetail.evaluation.claims import finding
from dovetail.evaluation.claims.finding import claim_of, claims


def test_by_name_by_contract_and_all() -> None:
    assert [f.key for f in claims(["siglip", "negclip"])] == ["siglip", "negclip"]
    assert {"infonce", "siglip"} <= {f.key for f in claims(contract="PairLoss")} <= {e.key for e in entries(PairLoss)}
    assert [f.contract for f in claims(["tsvlc"])] == ["Objective"], "the curator of that name claims nothing"
    everything = claims(everything=True)
    assert {"infonce", "siglip", "negclip"} <= {f.key for f in everything}
    assert [f.key for f in claims(["siglip"], contract="PairLoss")].count("siglip") == 1


def test_a_method_without_a_claim() -> None:
    assert claim_of(lookup("cosine")) is None
    with pytest.raises(CatalogueError, match="cosine has no claim at the scale cpu: its test file defines no CLAIM"):
        claims(["cosine"])


def test_mistakes_are_named() -> None:
    with pytest.raises(CatalogueError, match="siglip"):
        claims(["siglipp"])
    with pytest.raises(CatalogueError, match="PairLosss"):
        claims(contract="PairLosss")
    with pytest.raises(DataError, match="name the methods to verify, or give --contract CONTRACT or --all"):
        claims()


def test_an_installed_package_has_no_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "__file__", "/usr/lib/python3/site-packages/dovetail/evaluation/claims/finding.py")
    with pytest.raises(DataError, match="installed package; clone the repository"):
        claim_of(lookup("siglip", PairLoss))
