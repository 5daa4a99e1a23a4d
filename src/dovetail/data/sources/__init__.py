"""The one door for data: `open_source` reads whatever lies at a path, on the hub, or in a Python list."""

from dovetail.data.sources.columns import Columns
from dovetail.data.sources.door import open_source, stream_source
from dovetail.data.sources.kinds import Source, Stream, Table

__all__ = ["Columns", "Source", "Stream", "Table", "open_source", "stream_source"]
