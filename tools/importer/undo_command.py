"""Command lines of `rev import --undo` and of `rev imports`."""

import argparse
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.money import format_cents
from tools.importer import options as typed
from tools.importer.client import ImportClient
from tools.importer.gateway_responses import Import, cents
from tools.importer.options import Access, UsageError
from tools.importer.row_keys import import_id
from tools.importer.sources import digest
from tools.importer.undo import Undone, undo

Run = Callable[[Coroutine[Any, Any, Any]], Any]
ID_WIDTH = 24
"""Width of an import's id, which people copy from the table and which must not be cut."""
NUMBERS = ("events", "voided", "charged", "taken back", "net")


def run(
    args: argparse.Namespace,
    access: Access,
    client: ImportClient,
    wait_for: Run,
    ask: Callable[[str], bool] | None,
    console: Console,
) -> int:
    """Void an import. Return 0 when the ledger shows that nothing of it is charged. Raises UsageError,
    ImportStopped."""
    if not access.token:
        raise UsageError("--undo requires --token, the admin token (or REV_ADMIN_TOKEN)")
    id = args.file if typed.is_import_id(args.file) else import_id(digest(Path(args.file)).sha256)
    known: list[tuple[str | None, Import]] = wait_for(_known(access, client, id))
    if not known:
        raise UsageError(f"there is no import {id}, or the ledger does not show it yet")
    console.print(table([one for _, one in known]))
    if args.dry_run:
        console.print("Nothing was voided (--dry-run).")
        return 0
    if ask is not None and not args.yes and not ask(f"Void everything that import {id} charged?"):
        console.print("Nothing was voided.")
        return 2
    admin = client.as_admin(access.token)
    for customer, one in known:
        done: Undone = wait_for(undo(client, admin, customer, id))
        left = "0" if done.left is None else cents(done.left.total_cents)
        console.print(
            f"{one.customer_id}: {done.voids:,} entries voided, {format_cents(done.pico)} cents;"
            f" {left} cents of the import remain",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    return 0


async def _known(access: Access, client: ImportClient, id: str) -> list[tuple[str | None, Import]]:
    """Return the customers that an import was charged to, as requests name them, and how much: the key's
    customer, --customer, or, with a platform key, all of them."""
    key, _ = await client.whose(None)
    if key is not None and access.customer not in (None, key):
        raise UsageError(f"--customer {access.customer!r} must be the customer of the API key, {key!r}")
    if key is None and access.customer is None:
        return [(one.customer_id, one) async for one in client.imports(None, id)]
    customer = None if key is not None else access.customer
    one = await client.imported(customer, id)
    return [] if one is None else [(customer, one)]


def table(imports: list[Import]) -> Table:
    """Return a table of imports with their sums in cents."""
    made = Table(box=None)
    for name in ("import", "customer", "events", "voided", "charged", "taken back", "net", "first", "last"):
        wide = ID_WIDTH if name == "import" else None
        made.add_column(name, justify="right" if name in NUMBERS else "left", no_wrap=True, min_width=wide)
    for one in imports:
        amounts = (one.charged_cents, one.voided_cents, one.total_cents)
        whose = one.customer_id + (" (test)" if one.test else "")
        made.add_row(
            one.import_id, whose, f"{one.events:,}", f"{one.voided_events:,}", *map(cents, amounts),
            one.first_at[:19], one.last_at[:19],
        )  # fmt: skip
    return made


async def list_imports(client: ImportClient, customer: str | None) -> list[Import]:
    """Return all imports, newest first."""
    return [one async for one in client.imports(customer)]
