"""One pass over a file: opens it, checks its header, makes its rows into batches. Every pass of one import
makes the same batches, since all that they depend on is fixed before the first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tools.importer.batches import Batch, BatchCutter, BatchOwner
from tools.importer.columns import Columns
from tools.importer.event_maker import EventMaker
from tools.importer.options import Options
from tools.importer.sources import Digest, FileError, digest, looks_like_data, open_source
from tools.importer.timestamps import Times


class FileSubject(NamedTuple):
    """File to import, and its customer. ``now``: UTC ms by the server's clock when the import began."""

    options: Options
    digest: Digest
    whose: BatchOwner
    now: int


class FileReading(NamedTuple):
    """One pass over a file. ``events`` and ``times`` hold what they met in the file once the batches are used up."""

    batches: Iterator[Batch]
    events: EventMaker
    times: Times


@contextmanager
def reading(subject: FileSubject) -> Iterator[FileReading]:
    """Open the file for one pass. Opening it and reading the batches raise FileError, MappingError, BadCell
    (of --set) or OSError."""
    options = subject.options
    source = open_source(options.path, options.delimiter, subject.digest.nul)
    try:
        if source.header is not None:
            check_header(source.header, options.columns, options.no_tokens or options.keep)
        times = Times(subject.now, options.zone, options.dst, options.excel_dates)
        events = EventMaker(source.cells, source.header, options.columns, times, options.keep, options.no_tokens)
        yield FileReading(BatchCutter(events, subject.whose, subject.digest.sha256).batches(source.rows), events, times)
    finally:
        source.close()


def examined(options: Options) -> Digest:
    """Return the file's digest. Problems at the beginning of the file are found here, before any server is
    contacted; raises the same errors as `reading`."""
    found = digest(options.path)
    source = open_source(options.path, options.delimiter, found.nul)
    try:
        if source.header is not None:
            check_header(source.header, options.columns, options.no_tokens or options.keep)
    finally:
        source.close()
    return found


def check_header(header: list[str], columns: Columns, loose: bool) -> None:
    """Raise FileError for an invalid header. ``loose``: it need not name a known column."""
    missing = columns.missing(header)
    if missing is not None:
        raise FileError(missing)
    data = looks_like_data([cell for cell in header if cell not in columns.mapped.values()])
    if data is not None:
        raise FileError(f"its first line holds {data!r}, which is not a column name: is the header line missing?")
    plan = columns.plan(header)
    if not plan.sources and not plan.metadata and not loose and not columns.maps_tokens:
        raise FileError(
            f"its first line has no known column name ({', '.join(header)}): add a header line, or map the columns"
            " with --map"
        )
    if "action" not in {*columns.fixed, *columns.mapped, *plan.sources}:
        raise FileError("no column gives the action: use --set action=… or --map action=COLUMN")
