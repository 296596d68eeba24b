"""`rev invoices run`: makes the invoices of a month through a gateway, or shows them as they would be."""

import argparse
import sys
from typing import Any

from tools.admin_call import CallFailed, add_gateway, admin_post

FAILED = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("action", choices=["run"], help="run: make the invoices of a month")
    parser.add_argument("--month", required=True, metavar="YYYY-MM", help="the calendar month, UTC")
    parser.add_argument("--dry-run", action="store_true", help="only show what the invoices would be")
    add_gateway(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it; return 0, or FAILED if the gateway refuses or does not answer. Raises SettingError."""
    asked = {"month": arguments.month, "dry_run": arguments.dry_run}
    try:
        print_result(admin_post(arguments, "/api/admin/invoices/run", asked))
    except CallFailed as error:
        print(f"rev invoices: {error}", file=sys.stderr)
        return FAILED
    return 0


def print_result(result: dict[str, Any]) -> None:
    """Print the invoices of a month, the largest first, and their sum."""
    for one in result["largest"]:
        exact = one["lines_cents"] - one["credits_cents"] + one["carried_in_cents"]
        print(f"{one['number'] or 'draft':<12} {one['total_cents']:>14} cents ({exact} exact)  {one['customer_id']}")
    more = result["count"] - len(result["largest"])
    if more:
        print(f"and {more} more")
    would = "would be" if result["dry_run"] else "are"
    print(f"{result['month']}: there {would} {result['count']} invoices of {result['total_cents']} cents in all")
