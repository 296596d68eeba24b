"""Progress bar shown while the jars are fetched for the first time."""

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.kafka.jars import Progress


@contextmanager
def bar() -> Iterator[Progress]:
    """Yield a progress callback that draws on standard error; nothing is drawn until it is called."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bars = Bars(*columns, console=Console(stderr=True))
    task = bars.add_task("Fetching Apache Kafka (once)", total=None)

    def show(done: int, total: int) -> None:
        bars.start()
        bars.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if bars.live.is_started:
            bars.stop()
