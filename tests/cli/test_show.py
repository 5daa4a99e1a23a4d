"""One method explained."""

import pytest

from dovetail.cli.main import main


def test_shows_card_options_and_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    main(["show", "siglip"])
    told = capsys.readouterr().out
    assert told.startswith("siglip (PairLoss)")
    assert 'Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023.' in told
    assert "log sigmoid(z_ij (t <x_i, y_j> + c))" in told
    assert "initial_bias: float = -10.0" in told and "what is added to every score at the start" in told
    assert "methods/pair_losses/siglip.py" in told


def test_a_paper_that_is_a_curator_and_an_objective_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", "tsvlc"])
    told = capsys.readouterr().out
    assert told.index("tsvlc (Curator)") < told.index("tsvlc (Objective)")


@pytest.mark.parametrize(("name", "hint"), [("siglp", "did you mean siglip"), ("zzzz", "there are: ")])
def test_an_unknown_name(capsys: pytest.CaptureFixture[str], name: str, hint: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["show", name])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and f"no method is called {name!r}" in told and hint in told
