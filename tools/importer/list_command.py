"""`rev imports`: lists the imports of a customer with their sums."""

import argparse
import asyncio
import random

import aiohttp

from tools.importer import options as typed
from tools.importer.client import ImportClient, ImportStopped
from tools.importer.gateway_responses import Import
from tools.importer.options import Access, UsageError
from tools.importer.report import console as printing
from tools.importer.undo_command import list_imports, table


def run(args: argparse.Namespace) -> int:
    """List the imports. Return 0, or 2 if they cannot be read. Raises SettingError for an invalid --url."""
    console, errors = printing(), printing(stderr=True)
    try:
        found = asyncio.run(_list(typed.access(args)))
    except (UsageError, ImportStopped) as error:
        errors.print(f"rev imports: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    console.print(table(found) if found else "no imports")
    return 0


async def _list(access: Access) -> list[Import]:
    async with aiohttp.ClientSession() as session:
        client = ImportClient(session, access.url, access.key, patience=access.patience, rng=random.Random())
        return await list_imports(client, access.customer)
