"""Results survive JSON, are written whole or not at all, and print as a table."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dovetail.data.records import DataError, Problems
from dovetail.evaluation.intervals import Estimate
from dovetail.evaluation.result import Result, Results


def example() -> Results:
    problems = Problems()
    problems.add("truncated image", "photos.csv line 17 (a.jpg)")
    retrieval = Result(
        name="retrieval [dev]",
        figures={
            "text_to_image/R@1": Estimate(0.1234, 0.11, 0.136, share=True),
            "text_to_image/median_rank": Estimate(1234.5, 1200.0, 1300.0),
        },
        chance={"text_to_image/R@1": 0.001, "text_to_image/median_rank": 2500.5},
        counts={"images": 1000, "captions": 5000},
        skipped=problems,
    )
    zero_shot = Result(
        "zero-shot", {"top1": Estimate(0.5, 0.4, 0.6, share=True)}, details={"per_class": {"ñandú": 0.5}}
    )
    return Results((retrieval, zero_shot), about={"model": "runs/f8k"})


def test_a_result_is_a_mapping_of_its_figures() -> None:
    result = example().results[0]
    assert result["text_to_image/R@1"].value == 0.1234
    assert list(result) == ["text_to_image/R@1", "text_to_image/median_rank"]
    assert len(result) == 2 and "top1" not in result


def test_json_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.json"
    results = example()
    results.write(path)
    again = Results.read(path)
    assert again.to_json() == results.to_json() == json.loads(path.read_text(encoding="utf-8"))
    assert again.results[0]["text_to_image/R@1"] == results.results[0]["text_to_image/R@1"]
    assert again.results[0].skipped.lines() == results.results[0].skipped.lines()
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    example().write(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        Results((Result("broken", {}, details={"cannot": {1, 2}}),)).write(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"about": {}, "results": [{"name": "x"}]}', "\x00"])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"(?s)metrics.json: not a results file .*`dovetail evaluate`"):
        Results.read(path)
    with pytest.raises(DataError, match=r"none.json: no results can be read \(No such file"):
        Results.read(tmp_path / "none.json")


def test_the_table_shows_every_figure_with_interval_and_chance() -> None:
    out = StringIO()
    Console(file=out, width=110).print(example().table())
    lines = out.getvalue().splitlines()

    def line(start: str) -> str:
        return next(line for line in lines if start in line)

    assert "12.3 (11.0-13.6)" in line("text_to_image/R@1 %") and "0.1" in line("text_to_image/R@1 %").split("│")[3]
    assert "1234.5 (1200.0-1300.0)" in line("median_rank") and "2,500.5" in line("median_rank")
    assert "1,000 images, 5,000 captions" in line("retrieval [dev]")
    assert line("skipped 1 x truncated image, e.g.")
    assert "50.0 (40.0-60.0)" in line("top1 %")
