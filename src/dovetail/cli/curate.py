"""Make more of your data: false captions beside the true ones, for objectives that learn from them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dovetail.catalogue import build
from dovetail.contracts import Curator, Kind
from dovetail.data.records import Record
from dovetail.data.sources import Columns, Table, open_source
from dovetail.data.sources.writing import write_records
from dovetail.training.assemble import all_records


def curate(
    curator: str,
    data: str,
    out: Path,
    columns: Columns = Columns(),  # noqa: B008 (frozen)
) -> None:
    """Run a curator over some data and write what becomes of it as a table (jsonl) for every --data.

    Pictures are not copied, unless they lie in tar shards or tables: those are written into a folder beside the new
    file.

    Args:
        curator: one of `dovetail methods`, such as tsvlc or 'clove(count=2, swap=0.5)'.
        data: a file, folder, tar shards or hub id.
        out: a new file whose name ends in .jsonl.
        columns: which columns of a table hold what; guessed by name otherwise.
    """
    made, console = build(curator, Curator), Console(stderr=True)
    source = open_source(data, columns)
    total = len(source) if isinstance(source, Table) else None
    columns_shown = (
        TextColumn("curate"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    before, after = Tally(), Tally()
    with Progress(*columns_shown, console=console) as progress:
        records = progress.track(before.counted(all_records([source])), total=total)
        write_records(after.counted(made(records)), out)
    for told in source.problems.lines():
        console.print(f"[yellow]skipped[/] {told}")
    for line in changes(before, after):
        console.print(line)
    console.print(f"written to {out}", soft_wrap=True)


class Tally:
    """How many records went by, their captions by kind, and how many records have one of a kind."""

    def __init__(self) -> None:
        self.records, self.captions, self.having = 0, Counter[Kind](), Counter[Kind]()

    def counted(self, records: Iterable[Record]) -> Iterator[Record]:
        """The same records, each counted as it goes by."""
        for record in records:
            kinds = Counter(c.kind for c in record.captions)
            self.records += 1
            self.captions += kinds
            self.having += Counter(kinds.keys())
            yield record


def changes(before: Tally, after: Tally) -> list[str]:
    """What a curator did, in sentences."""
    gone = before.records - after.records
    lines = [f"{before.records:,} records" + (f", of which {gone:,} were left out" if gone else "")]
    for kind in Kind:
        more = after.captions[kind] - before.captions[kind]
        if more:
            what = f"{abs(more):,} {'more' if more > 0 else 'fewer'} {kind.name.lower()} captions"
            lines.append(f"{what}; {after.having[kind]:,} records have one")
    return lines if len(lines) > 1 else [*lines, "no caption was added or left out"]
