"""One copy of the tree with one more label and one more term of each kind, run once for all tests here."""

from collections.abc import Iterator

import pytest

from bench.running_stack import RunningStack
from tests.integration.declarations.product_copy import ROOT, Addition, ProductCopy

START_LIMIT = 180
"""Seconds; long, since the first start of a tree can record a start of Kafka."""
NEXT = len(list((ROOT / "warehouse" / "sql" / "migrations").glob("*.sql"))) + 1
"""Number of the first migration that the copy adds to the product's own."""
LABEL = Addition(
    file="schemas/labels.py",
    after="    trace_id: Annotated[str | None, TRACE] = None\n",
    line='    region: Annotated[str | None, About("where it ran", headers=("zone",))] = None\n',
    migration=f"{NEXT:03d}_region.sql",
    sql="ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS region LowCardinality(String);\n",
)
COLUMN = "ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS {};\n"
TEXT = Addition(
    file="schemas/outcome_terms.py",
    after='    price_on_failure: Annotated[str, FAILURE] = "0"\n',
    line='    reference: Annotated[str | None, Term("text", "the number of the contract", ("ponumber",))] = None\n',
    migration=f"{NEXT + 1:03d}_reference.sql",
    sql=COLUMN.format("reference String"),
)
PRICE = Addition(
    file=TEXT.file,
    after=TEXT.line,
    line='    list_price: Annotated[str, Term("price", "the price before your discount")] = "0"\n',
    migration=f"{NEXT + 2:03d}_list_price.sql",
    sql=COLUMN.format("list_price Decimal(38, 12)"),
)
JSON = Addition(
    file=TEXT.file, after=PRICE.line, line='    parties: Annotated[msgspec.Raw, Term("json", "who signs")] = EMPTY\n'
)
"""Without a column, so without a migration."""
ADDITIONS = {"label": LABEL, "text": TEXT, "price": PRICE, "json": JSON}


@pytest.fixture(scope="package")
def copy(tmp_path_factory: pytest.TempPathFactory) -> ProductCopy:
    return ProductCopy(tmp_path_factory.mktemp("declarations"))


@pytest.fixture(scope="package")
def by_hand(copy: ProductCopy) -> dict[str, set[str]]:
    """The copy has the additions; for each the files that were touched by hand."""
    touched = {name: copy.add(addition) for name, addition in ADDITIONS.items()}
    copy.generate()
    return touched


@pytest.fixture(scope="package")
def product(
    copy: ProductCopy, by_hand: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    """A `rev up` of the copy."""
    running = RunningStack(tmp_path_factory.mktemp("product") / "data", copy.env, copy.tree)
    try:
        running.wait_ready(START_LIMIT)
        yield running
    finally:
        running.stop()
