"""`rev invoices run`: makes the invoices of a month through a gateway, or shows them as they would be."""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

from schemas.settings import SettingError, http_url

TIMEOUT = 600
"""Seconds; a month of many customers takes a while."""
FAILED = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("action", choices=["run"], help="run: make the invoices of a month")
    parser.add_argument("--month", required=True, metavar="YYYY-MM", help="the calendar month, UTC")
    parser.add_argument("--dry-run", action="store_true", help="only show what the invoices would be")
    parser.add_argument("--url", metavar="URL", help="address of a gateway (REV_URL, else http://127.0.0.1:8080)")
    parser.add_argument("--token", metavar="TOKEN", help="the admin token (or REV_ADMIN_TOKEN)")


def run(arguments: argparse.Namespace) -> int:
    """Run it; return 0, or FAILED if the gateway refuses or does not answer. Raises SettingError."""
    url = http_url("--url", arguments.url or os.environ.get("REV_URL") or "http://127.0.0.1:8080")
    token = arguments.token or os.environ.get("REV_ADMIN_TOKEN")
    if not token:
        raise SettingError("--token is required: the admin token (or REV_ADMIN_TOKEN)")
    asked = {"month": arguments.month, "dry_run": arguments.dry_run}
    request = urllib.request.Request(
        url.rstrip("/") + "/api/admin/invoices/run",
        data=json.dumps(asked).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            print_result(json.loads(response.read(), parse_float=Decimal))
    except urllib.error.HTTPError as error:
        print(f"rev invoices: {_why(error)}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"rev invoices: no gateway answers at {url}: {error}", file=sys.stderr)
        return FAILED
    return 0


def print_result(result: dict[str, Any]) -> None:
    """Print the invoices of a month, the largest first, and their sum."""
    for one in result["largest"]:
        exact = one["lines_cents"] + one["carried_in_cents"]
        print(f"{one['number'] or 'draft':<12} {one['total_cents']:>14} cents ({exact} exact)  {one['customer_id']}")
    more = result["count"] - len(result["largest"])
    if more:
        print(f"and {more} more")
    would = "would be" if result["dry_run"] else "are"
    print(f"{result['month']}: there {would} {result['count']} invoices of {result['total_cents']} cents in all")


def _why(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered {error.code}"
