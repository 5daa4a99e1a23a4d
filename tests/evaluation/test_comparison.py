"""What is concluded from a comparison, said as the numbers are; JSON and the table for the terminal."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dovetail.data.records import DataError
from dovetail.evaluation.comparison import (
    Comparison,
    conclusion,
    duration,
    memory,
    signed,
    spoken,
    table,
)
from dovetail.evaluation.intervals import Estimate
from tests.evaluation.comparisons import AHEAD, BEHIND, MAIN, OPEN, comparison, contender, share


def said(held: Comparison) -> str:
    return " ".join(conclusion(held))


def test_ahead_behind_and_open() -> None:
    found = conclusion(comparison({"siglip": AHEAD, "filip": BEHIND, "hinge": OPEN}, seeds=3))
    assert found[0] == (
        "siglip is ahead of infonce by 2.1 percentage points (95 % interval 0.4 to 3.9) in mean recall."
    )
    assert found[1] == ("filip is behind infonce by 3.2 percentage points (95 % interval 1.0 to 5.4) in mean recall.")
    assert found[2] == (
        "Whether hinge (+0.3 (−1.2 to +1.8)) is better or worse than infonce in mean recall cannot be concluded: "
        "the interval of its difference includes zero."
    )
    assert "cannot be concluded" not in said(comparison({"siglip": AHEAD, "filip": BEHIND}))


def test_several_that_are_open_share_a_sentence() -> None:
    text = said(comparison({"a": OPEN, "b": OPEN, "c": OPEN}))
    assert "Whether a (+0.3 (−1.2 to +1.8)), b (" in text and " and c (" in text
    assert "are better or worse than infonce" in text and "the intervals include zero" in text
    assert " ahead of " not in text and " behind infonce" not in text


@pytest.mark.parametrize(
    ("low", "high", "standing"),
    [(0.001, 0.02, "higher"), (0.0, 0.02, "open"), (-0.02, 0.0, "open"), (-0.02, -0.001, "lower"),
     (float("nan"), float("nan"), "open")],
)  # fmt: skip
def test_an_interval_must_exclude_zero(low: float, high: float, standing: str) -> None:
    held = comparison({"siglip": share((low + high) / 2, low, high)})
    assert held.standing("siglip", MAIN) == standing
    assert held.standing("infonce", MAIN) is None and held.standing("siglip", "top1") is None


def test_one_seed_says_nothing_about_the_luck_of_training() -> None:
    one, three = said(comparison({"siglip": AHEAD})), said(comparison({"siglip": AHEAD}, seeds=3))
    assert "choice of test items only, not the luck of training" in one and "--seeds 3" in one
    assert "luck of training, over 3 seeds" in three and "--seeds" not in three


def test_several_challengers_are_not_corrected_for() -> None:
    assert "not corrected" not in said(comparison({"siglip": AHEAD}))
    assert "There are 2 differences" in said(comparison({"siglip": AHEAD, "filip": BEHIND}))


def test_at_chance_nothing_is_said_of_the_methods() -> None:
    lost = comparison({"siglip": AHEAD}, chance=0.2)
    text = said(lost)
    assert text.startswith("infonce and siglip are all still at chance in mean recall (20.0 %): nothing can be said")
    assert "ahead" not in text
    # the interval of infonce is 8 to 12 %, that of the other 10.1 to 14.1 %
    some = said(comparison({"siglip": AHEAD}, chance=0.09))
    assert "infonce is still at chance." in some and "siglip is ahead of infonce" in some
    assert "at chance" not in said(comparison({"siglip": AHEAD}, chance=0.0799))
    assert "at chance" not in said(comparison({"siglip": AHEAD}, chance=None))


def test_one_alone() -> None:
    text = said(comparison({}))
    assert "nothing to compare it with" in text and "--seeds 3" in text
    assert said(comparison({}, chance=0.5)).startswith("infonce is still at chance")


def costly(**changes: float) -> str:
    held = comparison({"siglip": AHEAD})
    return said(replace(held, contenders=(held.first, replace(held.challengers[0], **changes))))


def test_costs_are_told_where_they_differ() -> None:
    assert "Memory" not in costly(peak_bytes=1_760_000_000)
    assert "Memory peaked at 1.6 GB (infonce) to 1.8 GB (siglip)." in costly(peak_bytes=1_770_000_000)
    assert "Training took from 90 s (siglip) to 10.0 min (infonce)." in costly(seconds=90.0)
    assert "saw from 128,000 (siglip) to 256,000 images (infonce)" in costly(images=128_000)
    assert "images" not in costly(images=128_000, seconds=90.0)  # other times, other numbers of images
    assert "Memory" in said(
        replace(
            comparison({"a": AHEAD}, chance=0.9),
            contenders=(contender("infonce", OPEN), replace(contender("a", OPEN), peak_bytes=1)),
        )
    )


def test_figures_that_are_no_shares() -> None:
    held = Comparison(
        (contender("a", Estimate(3.0, 2.0, 4.0)), contender("b", Estimate(1503.5, 2.0, 3000.0))),
        MAIN,
        {},
        {"b": {MAIN: Estimate(1500.5, 1200.0, 1800.0)}},
    )
    assert conclusion(held)[0] == "b is ahead of a by 1,500.5 (95 % interval 1,200.0 to 1,800.0) in mean recall."


def test_numbers_in_words() -> None:
    assert signed(AHEAD) == "+2.1 (+0.4 to +3.9)" and signed(BEHIND) == "−3.2 (−5.4 to −1.0)"
    assert signed(share(0.01, 0.0002, 0.02)) == "+1.0 (+0.02 to +2.0)"  # the edge lies above zero
    assert signed(share(0.0, 0.0, 0.0)) == "0.0 (0.0 to 0.0)"
    assert duration(119.0) == "119 s" and duration(120.0) == "2.0 min"
    assert memory(8.12e8) == "812 MB" and memory(1.6e9) == "1.6 GB"
    assert spoken("text_to_image/R@1") == "text to image, R@1"


def test_json_round_trip(tmp_path: Path) -> None:
    held = comparison({"siglip": AHEAD, "ñandú <b>": BEHIND}, seeds=3)
    held = replace(held, contenders=(replace(held.first, warnings=("a", "b")), *held.challengers))
    path = tmp_path / "new" / "comparison.json"
    held.write(path)
    assert Comparison.read(path) == held
    assert json.loads(path.read_text(encoding="utf-8"))["contenders"][0]["figures"][MAIN]["low"] == 0.08
    assert [p.name for p in path.parent.iterdir()] == ["comparison.json"]


def test_files_that_are_no_comparison(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(DataError, match=r"a\.json: no comparison can be read"):
        Comparison.read(path)
    for text in ("{", "[]", '{"contenders": [], "differences": {}}', '{"contenders": 3}'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"a\.json: not a comparison"):
            Comparison.read(path)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    held = comparison({"siglip": AHEAD})
    held.write(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        replace(held, about={"cannot": object()}).write(path)  # type: ignore[dict-item]
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["comparison.json"]


def test_what_is_no_comparison_is_refused() -> None:
    a, b = contender("a", AHEAD), contender("b", AHEAD)
    for contenders, main, differences in [
        ((), MAIN, {}),
        ((a, a), MAIN, {"a": {MAIN: AHEAD}}),
        ((a,), "top1", {}),
        ((a, b), MAIN, {}),
        ((a, b), MAIN, {"b": {"top1": AHEAD}}),
    ]:
        with pytest.raises(ValueError):
            Comparison(contenders, main, {}, differences)


def test_the_table_for_the_terminal() -> None:
    held = comparison({"siglip[/]": AHEAD, "contrastive(loss=siglip, similarity=cosine)": OPEN})
    held = replace(held, contenders=(replace(held.first, warnings=("[bold]odd",)), *held.challengers))
    out = StringIO()
    Console(file=out, width=80).print(table(held))
    lines = out.getvalue().splitlines()
    row = next(line for line in lines if "siglip[/]" in line)
    assert row.split("  ")[0].strip() == "siglip[/]"
    for cell in ("12.1 (10.1-14.1)", "+2.1 (+0.4 to +3.9)", "10.0 min", "1.6 GB", "500"):
        assert cell in row
    assert "less infonce" in out.getvalue() and "mean recall %" in out.getvalue()
    assert "infonce: [bold]odd" in out.getvalue()
    assert next(line for line in lines if "by chance" in line).split()[-1] == "1.0"
