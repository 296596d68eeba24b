"""The terms of a registered outcome: its prices, and what the customer wants kept with it.

A term is declared only here. Everything else that names terms derives from it: the request body and its checks, the
command, the open outcome in the shard's state, the hash of a registration, the ledger's entry and columns, the API's
object, what `rev verify` compares, the client libraries and the tables in docs/. A new term takes a line here, a
migration that adds its column unless it is JSON, and `python -m tools.generate`, which updates the generated files.

Not declared here: task_id, agent_id, expires_at and on_expiry, since rules depend on them. Which price a verdict
charges is the rule of pricer.machine and, independently, of tools/verify.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec

from schemas.compiled import dict_of
from schemas.raw_json import EMPTY

Kind = Literal["price", "text", "json"]
"""``price``: cents as decimal text, checked like every rate; ``text``: a name (schemas.limits.MAX_NAME);
``json``: an object, kept as it was sent and never evaluated.
"""
ABSENT: dict[Kind, Any] = {"price": "0", "text": None, "json": EMPTY}
"""The value of a term that the customer did not state: the default of every term that is not required."""
COLUMN_TYPES: dict[Kind, str] = {"price": "Decimal(38, 12)", "text": "String"}
"""Types in ClickHouse; an absent term is 0 or the empty text. JSON is in an entry's ``detail`` only."""


class Term(NamedTuple):
    """A term of a registered outcome. ``name``: in requests, in the command, and its column in the ledger."""

    kind: Kind
    meaning: str
    """For the docs."""
    hints: tuple[str, ...] = ()
    """Other names for the term: the error for a request that uses one names the right field."""
    in_state: str = ""
    """Its key in the shard's state, if that is not its name."""
    in_entry: str = ""
    """Its key in rev.entries, if that is not its name."""
    name: str = ""
    required: bool = False

    @property
    def shown_as(self) -> str:
        """Its name in the API's object."""
        return f"{self.name}_cents" if self.kind == "price" else self.name


CRITERIA = Term("json", "what counts as success", ("criteria",), in_state="criteria")
SUCCESS = Term(
    "price",
    "what a success costs",
    ("price", "successprice", "priceonsuccesscents", "amount", "value"),
    in_entry="on_success",
)
FAILURE = Term("price", "what a failure costs", ("failureprice", "priceonfailurecents"), in_entry="on_failure")


class Terms(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """The terms in the order of the API's object. A new term goes to the end, with the default of its kind (ABSENT),
    since older commands lack it.
    """

    success_criteria: Annotated[msgspec.Raw, CRITERIA] = EMPTY
    price_on_success: Annotated[str, SUCCESS]
    price_on_failure: Annotated[str, FAILURE] = "0"


def _named(field: msgspec.structs.FieldInfo) -> Term:
    term = next(one for one in Terms.__annotations__[field.name].__metadata__ if isinstance(one, Term))
    return term._replace(name=field.name, required=field.required)


TERMS: tuple[Term, ...] = tuple(map(_named, msgspec.structs.fields(Terms)))
ADDED_TERMS = TERMS[3:]
"""Terms added after the first release: objects and hashes of that release lack them."""
PRICES = tuple(term for term in TERMS if term.kind == "price")
JSON_TERMS = tuple(term for term in TERMS if term.kind == "json")
LEDGER_TERMS = tuple(term for term in TERMS if term.kind in COLUMN_TYPES)
"""Terms that the entries which open and close an outcome hold, each in a column of its own."""

if TYPE_CHECKING:

    def terms_of(source: Terms) -> dict[str, Any]:
        """Return the terms by name, as keyword arguments of another struct with terms."""
        ...

    def ledger_terms_of(source: Terms) -> dict[str, Any]:
        """Return the terms that an entry holds, by name."""
        ...

else:
    terms_of = dict_of({term.name: f"source.{term.name}" for term in TERMS})
    # an added term that is absent leaves no key, so that an older log is decided to the same entries
    ledger_terms_of = dict_of(
        {
            term.name: f"None if source.{term.name} == {ABSENT[term.kind]!r} else source.{term.name}"
            if term in ADDED_TERMS
            else f"source.{term.name}"
            for term in LEDGER_TERMS
        }
    )
