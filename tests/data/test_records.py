"""The tally of what could not be used."""

from dovetail.data.records import Problems


def test_problems_are_counted_by_cause_and_the_first_five_are_named() -> None:
    problems = Problems()
    for i in range(7):
        problems.add("empty caption", f"x.csv line {i}")
    problems.add("truncated image", "a.jpg")
    assert problems.counts == {"empty caption": 7, "truncated image": 1}
    assert problems.examples["empty caption"] == [f"x.csv line {i}" for i in range(5)]
    assert problems.lines() == [
        "7 x empty caption, e.g. x.csv line 0; x.csv line 1",
        "1 x truncated image, e.g. a.jpg",
    ]


def test_merged_problems_add_up_and_leave_the_other_tally_alone() -> None:
    one, other = Problems(), Problems()
    one.add("a", "first")
    for name in ("second", "third"):
        other.add("a", name)
    other.add("b", "fourth")
    one.merge(other)
    one.add("b", "fifth")
    assert one.counts == {"a": 3, "b": 2}
    assert one.examples == {"a": ["first", "second", "third"], "b": ["fourth", "fifth"]}
    assert other.counts == {"a": 2, "b": 1} and other.examples["b"] == ["fourth"]
