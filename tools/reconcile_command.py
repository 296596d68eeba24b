"""`rev reconcile stripe`: compares ledger, invoices and Stripe through a gateway, line by line."""

import argparse
import sys
from typing import Any

from tools.admin_call import CallFailed, add_gateway, admin_post

FAILED, DIFFERS = 1, 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("with", choices=["stripe"], help="stripe: compare with what Stripe holds")
    parser.add_argument("--month", required=True, metavar="YYYY-MM", help="the calendar month, UTC")
    add_gateway(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it; return 0 if all agree, DIFFERS if not, FAILED if they cannot be compared. Raises SettingError."""
    try:
        found = admin_post(arguments, "/api/admin/stripe/reconcile", {"month": arguments.month})
    except CallFailed as error:
        print(f"rev reconcile: {error}", file=sys.stderr)
        return FAILED
    print("\n".join(report(found)))
    return 0 if found["agrees"] else DIFFERS


def report(found: dict[str, Any]) -> list[str]:
    """Return the lines that say what was found."""
    lines = [
        f"{one['number']}  {one['what']}: {one['rev']} here, {one['stripe']} in Stripe" for one in found["differences"]
    ]
    if found["count"] > len(lines):
        lines.append(f"and {found['count'] - len(lines)} more differences")
    if found["mode"] == "meter" and "hours" in found:
        lines.append(f"{found['hours']} hours of customers' usage are compared with Stripe's meters")
    elif found["mode"] != "invoice":
        lines.append(f"REV_STRIPE is {found['mode']}, so only ledger and invoices are compared")
    compared = f"{found['month']}: {found['invoices']} invoices, {found['checked']} of them compared with Stripe"
    return [*lines, f"{compared}; " + ("all agree" if found["agrees"] else f"{found['count']} differences")]
