"""The labels of a meter event: texts that its sender attaches. They are stored with it and never charged.

A label is declared only here. Everything else that names labels derives from it: the request body and its checks,
the command, an outcome that a pending event opens, the columns that the ledger writes and reads, the API's objects,
the columns of `rev import`, the client libraries and the tables in docs/. A new label takes a line here, a migration
that adds its column, and `python -m tools.generate`, which updates the generated files.
"""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from schemas.compiled import dict_of


class About(NamedTuple):
    """The description of a label."""

    meaning: str
    """For the docs: what the sender puts there."""
    column: str = "LowCardinality(String)"
    """Its type in ClickHouse; absent is the empty text."""
    headers: tuple[str, ...] = ()
    """Columns of a usage file that are read as the label, besides its own name, without case and punctuation."""
    hints: tuple[str, ...] = ()
    """Other names for the label: the error for a request that uses one names the right field."""


TASK = About("what the event was done for", "String", (), ("task", "jobid", "taskname", "externalid"))
MODEL = About("the model that was used", headers=("modelname", "modelid"), hints=("requestmodel", "responsemodel"))
PROVIDER = About("who runs the model", headers=("vendor",), hints=("system", "providername", "modelprovider"))
TRACE = About("the trace of the sender's own telemetry", "String", (), ("trace", "correlationid"))


class Labels(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """The labels in the order of the body hash, so a new label goes to the end."""

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
    """Return a function of ``source`` that returns every label by name."""
    return dict_of({name: expression.format(name) for name in LABELS})


if TYPE_CHECKING:

    def labels_of(source: Labels) -> dict[str, Any]:
        """Return the labels by name, as keyword arguments of another struct with labels."""
        ...

    def labels_of_row(source: Labels) -> dict[str, Any]:
        """Return the labels of a ledger row by name; there an absent label is the empty text."""
        ...

    def row_labels_of(source: Labels) -> dict[str, Any]:
        """Return the labels by name, as a ledger row holds them."""
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
