"""The tables of claims: values, verdicts shown alike, links, markers, texts that Markdown would take for its own."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dovetail.cli import claims_tables
from dovetail.data.records import DataError
from dovetail.evaluation.claims.outcome import Asked, Made, Measured, Outcome, Verdict
from dovetail.evaluation.intervals import Estimate

SEEDS = (Measured(0, 0.61, 0.55), Measured(1, 0.6, 0.57), Measured(2, 0.62, 0.56))
LINKS = {("Similarity", "toy"): "similarities/toy.md"}
README = "# A\n\n<!-- claims -->\nold | table\n<!-- /claims -->\n\nrest\n"


def outcome(changes: Mapping[str, Any] | None = None) -> Outcome:
    """Of the similarity `toy`, with these fields changed."""
    made = Outcome(
        key="toy",
        contract="Similarity",
        scale="cpu",
        claim=Asked(
            says="Toy tells swapped words better.",
            benchmark="choice among swaps",
            metric="swapped attribute",
            better="higher",
            method="toy, batch 128, 500 steps",
            baseline="cosine, batch 128, 500 steps",
        ),
        seeds=SEEDS,
        difference=Estimate(0.05, 0.012, 0.088, share=True),
        chance=0.5,
        verdict="reproduced",
        made=Made("abc1234", "2 cores of a CPU", 240.0, "f"),
    )
    return replace(made, **(changes or {}))


def test_the_section_of_a_page() -> None:
    text = claims_tables.measured([outcome()])
    for part in (
        "## What was measured\n\n> Toy tells swapped words better.",
        "Measured as swapped attribute (higher is better, in percent) in choice among swaps. Chance is 50.0.",
        "- Method: toy, batch 128, 500 steps\n- Baseline: cosine, batch 128, 500 steps",
        "| seed | method | baseline | difference |\n|---|---|---|---|\n| 0 | 61.0 | 55.0 | +6.0 |",
        "| mean | 61.0 | 56.0 | +5.0 |",
        "Difference: +5.0 (+1.2 to +8.8) points. Verdict: **reproduced**: the 95 % interval",
        "On 2 cores of a CPU, 4.0 min in all, at commit `abc1234`.",
        "```\ndovetail verify toy\n```",
    ):
        assert part in text, part
    assert "→" not in text


def test_a_change_is_shown_with_where_it_started() -> None:
    seeds = (Measured(7, 21.5, 14.25, 30.0, 32.0), Measured(8, 5.125, 4.0, 30.0, 32.0))
    text = claims_tables.measured([outcome({"seeds": seeds, "difference": Estimate(6.0, -1.0, 13.0), "chance": None})])
    assert "| 7 | 30.0 → 21.5 | 32.0 → 14.2 | +9.25 |" in text
    assert "| 8 | 30.0 → 5.12 | 32.0 → 4.00 | +3.12 |" in text
    assert "An arrow leads from the reference to the figure" in text
    assert "Chance" not in text and " points" not in text and "percent" not in text


def test_nothing_measured_is_said() -> None:
    assert claims_tables.measured([]) == "## What was measured\n\nNo claim has been measured yet."
    assert claims_tables.index_table([], LINKS) == "No claim has been measured yet."
    assert "\nNo claim has been measured yet.\n" in claims_tables.readme(README, [], LINKS)


@pytest.mark.parametrize("verdict", ["reproduced", "no difference", "reversed"])
def test_every_verdict_is_shown_alike(verdict: Verdict) -> None:
    plain, changed = outcome(), outcome({"verdict": verdict})
    assert f"Verdict: **{verdict}**: {claims_tables.MEANING[verdict]}." in claims_tables.measured([changed])
    for make in (claims_tables.index_table, lambda found, links: claims_tables.readme(README, found, links)):
        assert make([changed], LINKS) == make([plain], LINKS).replace("| reproduced |", f"| {verdict} |")
        assert f"| {verdict} |" in make([changed], LINKS)


def test_the_tables_of_all_claims() -> None:
    found = [outcome(), outcome({"key": "gone", "verdict": "reversed", "difference": Estimate(-2.0, -3.0, -1.0)})]
    rows = claims_tables.index_table(found, LINKS).splitlines()
    assert rows[0] == "| method | what was claimed | measured as | difference | verdict |"
    assert rows[2] == (
        "| [`toy`](similarities/toy.md) | Toy tells swapped words better. | swapped attribute, choice among swaps "
        "| +5.0 (+1.2 to +8.8) points | reproduced |"
    )
    assert rows[3].startswith("| `gone` |") and rows[3].endswith("| −2.0 (−3.0 to −1.0) | reversed |")
    assert (
        "| [`toy`](similarities/toy.md) | Toy tells swapped words better. | +5.0 (+1.2 to +8.8) points | reproduced |"
        in claims_tables.readme(README, found, LINKS).splitlines()
    )


def test_a_change_names_where_it_starts() -> None:
    claim = replace(outcome().claim, references=("toy, 5 steps", "cosine, 5 steps"))
    text = claims_tables.measured([outcome({"claim": claim})])
    assert "- Method: toy, batch 128, 500 steps; from toy, 5 steps\n- Baseline: " in text


def test_a_claim_at_another_scale_says_so() -> None:
    found = outcome({"scale": "gpu"})
    assert "```\ndovetail verify toy --scale gpu\n```" in claims_tables.measured([found])
    assert "| [`toy`](similarities/toy.md) (gpu) |" in claims_tables.index_table([found], LINKS)


def test_only_what_lies_between_the_markers_changes() -> None:
    text = claims_tables.readme(README, [outcome()], LINKS)
    assert text.startswith("# A\n\n<!-- claims -->\n| method |") and text.endswith("\n<!-- /claims -->\n\nrest\n")
    assert "old" not in text
    assert claims_tables.readme(text, [outcome()], LINKS) == text


@pytest.mark.parametrize(
    "text",
    [
        "# A\n",
        "<!-- claims -->\n",
        "<!-- /claims -->\n",
        "<!-- /claims -->\n<!-- claims -->\n",
        README + "<!-- claims -->\n",
    ],
)
def test_markers_must_be_there_once_and_in_order(text: str) -> None:
    with pytest.raises(DataError, match=r"README\.md: .*<!-- /?claims -->.*between"):
        claims_tables.readme(text, [], LINKS)


def test_texts_break_no_table() -> None:
    text = claims_tables.index_table([outcome({"claim": replace(outcome().claim, says="a | b\n<i>c</i> *d*")})], LINKS)
    assert "a \\| b &lt;i&gt;c&lt;/i&gt; \\*d\\*" in text
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in text.splitlines()} == {6}
