"""The labels of a meter event: text that its sender attaches to it. They are kept with it and charged by nothing.

This is their one declaration. What else knows a label by name follows from it: the request body and its checks, the
command, an outcome that a pending event opens, the columns that the ledger writes and reads, the API's objects,
the columns of `rev import`, the client libraries and the tables in docs/. A new label takes a line here, a migration
that adds its column, and `python -m tools.generate`, which writes what stands in files.
"""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec


class About(NamedTuple):
    """What is said about a label where it is declared."""

    meaning: str
    """For the docs: what the sender puts there."""
    column: str = "LowCardinality(String)"
    """Its type in ClickHouse; absent is the empty text."""
    headers: tuple[str, ...] = ()
    """Columns of a usage file that are taken for it beside its own name, without case and punctuation."""
    hints: tuple[str, ...] = ()
    """Names that others give it: a request that uses one is told the right one."""


TASK = About("what the event was done for", "String", (), ("task", "jobid", "taskname", "externalid"))
MODEL = About("the model that was used", headers=("modelname", "modelid"), hints=("requestmodel", "responsemodel"))
PROVIDER = About("who runs the model", headers=("vendor",), hints=("system", "providername", "modelprovider"))
TRACE = About("the trace of the sender's own telemetry", "String", (), ("trace", "correlationid"))


class Labels(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """A new label goes to the end: the order is that of the body hash."""

    task_id: Annotated[str | None, TASK] = None
    model: Annotated[str | None, MODEL] = None
    provider: Annotated[str | None, PROVIDER] = None
    trace_id: Annotated[str | None, TRACE] = None


LABELS: tuple[str, ...] = Labels.__struct_fields__
ABOUT: dict[str, About] = {
    name: next(one for one in hint.__metadata__ if isinstance(one, About))
    for name, hint in Labels.__annotations__.items()
}


def _dict_of(expression: str) -> Any:
    """A function of ``source`` that gives every label by name; compiled, since it runs for every event."""
    members = ", ".join(f"{name!r}: {expression.format(name)}" for name in LABELS)
    return eval(f"lambda source: {{{members}}}")


if TYPE_CHECKING:

    def labels_of(source: Labels) -> dict[str, Any]:
        """By name, as keyword arguments of another struct with labels."""
        ...

    def labels_of_row(source: Labels) -> dict[str, Any]:
        """The same of a row of the ledger, where an absent label is the empty text."""
        ...

    def row_labels_of(source: Labels) -> dict[str, Any]:
        """By name, as a row of the ledger has them."""
        ...

    RowLabels = Labels
else:
    labels_of = _dict_of("source.{}")
    labels_of_row = _dict_of("source.{} or None")
    row_labels_of = _dict_of("source.{} or ''")
    RowLabels = msgspec.defstruct(
        "RowLabels", [(name, str, "") for name in LABELS], frozen=True, gc=False, kw_only=True, module=__name__
    )
    """Labels as a row of the ledger has them."""
