"""Months are invoiced while everything dies: documents, ledger and Stripe say the same to the last decimal."""

import asyncio
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench import invoice_run
from bench.running_stack import RunningStack, wait_until
from schemas.limits import DAY
from schemas.months import MonthRange, month_of, month_range
from tests.collector_settings import CollectorSettings
from tests.crash.clients import STEP, Agent, Book, fund, raise_price, set_list
from tests.crash.faults import Faults
from tests.crash.invoice_books import Entry, Object, Reckoning, due, unlike_stripe
from tests.crash.invoice_load import Clerk, LateAgent
from tests.crash.test_torture import FAULTS, PARTITIONS, SEED
from tests.integration.collector.closed_months import closed_month
from tests.stripe_stand_in import KEY, Fault, StripeStandIn
from tests.stripe_thread import served_stripe

pytestmark = pytest.mark.crash

BILLING: dict[str, Object] = {
    "invoiced-usd": {},
    "invoiced-eur": {"currency": "eur", "tax_percent": 19, "tax_reason": "German VAT", "payment_terms_days": 14},
    "invoiced-jpy": {"currency": "jpy", "payment_terms_days": 7},
    "invoiced-kwd": {"currency": "kwd", "tax_percent": 5, "tax_reason": "VAT"},
}
OWN: dict[str, Object] = {
    "invoiced-week": {"billing_interval": "week", "time_zone": "Europe/Berlin"},
    "invoiced-day-15": {"billing_anchor": 15, "time_zone": "America/New_York", "currency": "eur"},
    "invoiced-threshold": {"invoice_threshold_cents": 5000, "currency": "eur"},
}
"""Customers that get periods of their own once the first month is closed."""
CUSTOMERS = (*BILLING, *OWN)
TEST = "invoiced-usd"
"""The customer that sends test events, too."""
CREDITED = {"invoiced-usd", "invoiced-week"}
KILLED = ("collector", "clickhouse", "kafka", "gateway")
OTHERS = ("collector", "collector", "pricer", "ledger", "controller")
LATER = 1000
"""How many changes come after the statements that must stay the same."""
FORMATS = ("json", "csv", "pdf")


def stripe_faults() -> Iterator[Fault]:
    """One request in five fails."""
    rng = random.Random(SEED)
    faults: list[Fault] = ["lost", "cut", "limit", "error", "error after"]
    while True:
        yield rng.choice(faults) if rng.random() < 0.2 else ""


def ahead(days: int) -> int:
    """ms from now until so many days after the end of this month."""
    now = time.time_ns() // 1_000_000
    return month_range(month_of(now)).end + days * DAY - now


def until(true: Callable[[], bool], what: str, limit: float = 120) -> None:
    """Wait until something holds, whoever is away meanwhile."""

    def holds() -> bool:
        try:
            return true()
        except (OSError, HTTPException):
            return False

    wait_until(holds, what, limit, 0.1)


def content(running: RunningStack, path: str) -> bytes:
    """The body of a GET of an administrator, once it is a success."""
    headers = {"Authorization": f"Bearer {running.admin_token}"}
    found: list[bytes] = []

    def answered() -> bool:
        with urllib.request.urlopen(urllib.request.Request(running.http + path, headers=headers), timeout=30) as answer:
            found.append(answer.read())
        return True

    until(answered, f"GET {path}")
    return found[0]


def get(running: RunningStack, path: str) -> Any:
    """The JSON of a GET, numbers with a point as Decimal."""
    return json.loads(content(running, path), parse_float=Decimal)


def put_billing(running: RunningStack, customer: str, terms: Object) -> None:
    body = {**terms, "bill_to": {"name": customer, "email": f"{customer}@pay.invalid"}}
    path = f"/api/admin/customers/{customer}/billing"
    until(lambda: running.call("PUT", path, body)[0] == 200, f"billing of {customer}")


def kills(phase: int) -> list[str]:
    """Whom the kills of a phase hit, in turn."""
    rng = random.Random(SEED * 10 + phase)
    some = [*KILLED, *rng.choices(OTHERS, k=max(0, FAULTS // 3 - len(KILLED)))]
    rng.shuffle(some)
    return some


async def kill_all(faults: Faults, phase: int) -> None:
    rng = random.Random(SEED * 100 + phase)
    for name in kills(phase):
        await faults.one("kill", name)
        await asyncio.sleep(rng.uniform(0.1, 2))


class Snapshot:
    """Statements of a month as of one time, in all formats."""

    def __init__(self, running: RunningStack, month: str) -> None:
        of = f"/api/admin/statements?month={month}&customer_id="
        self.as_of = {customer: get(running, of + customer)["as_of"] for customer in CUSTOMERS}
        self.bytes = {
            path: content(running, path)
            for customer, at in self.as_of.items()
            for path in (f"{of}{customer}&as_of={at}&format={kind}" for kind in FORMATS)
        }

    def unlike(self, running: RunningStack) -> list[str]:
        """Those that are not the same bytes now."""
        return [path for path, held in self.bytes.items() if content(running, path) != held]


async def torment(running: RunningStack, book: Book, first: str, collector: CollectorSettings) -> Snapshot:
    """Load and kills: before a month is closed, while it is, after it; then without load, while the next one is."""
    end = month_range(first).end
    keys = {name: running.make_key(name) for name in CUSTOMERS}
    for name, terms in BILLING.items():
        put_billing(running, name, terms)
    for name, terms in OWN.items():
        put_billing(running, name, {"currency": terms.get("currency", "usd")})
    test_key = running.make_key(TEST, test=True)
    assert running.call("POST", "/api/admin/pricing", {"action_type": STEP, "base_rate_cents": 0})[0] == 201
    set_list(running)
    fund(running, CREDITED)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        stop = asyncio.Event()
        agents: list[Agent] = [
            LateAgent(end, session, running.http, name, "live", key, book, SEED * 1000 + number)
            for number, (name, key) in enumerate(keys.items())
        ]
        agents.append(LateAgent(end, session, running.http, TEST, "test", test_key, book, SEED * 1000 + len(agents)))
        clerk = Clerk(session, running.http, running.admin_token, book, SEED * 3000)
        loads: list[Awaitable[None]] = [one.run(stop) for one in agents]
        loads += [clerk.void(stop), clerk.pay(stop)]
        loads.append(raise_price(session, running.http, running.admin_token, book, stop))
        tasks = [asyncio.ensure_future(one) for one in loads]
        faults = Faults(running, random.Random(SEED), lambda: book.acknowledged, (*KILLED, *OTHERS))
        await kill_all(faults, 0)
        closing = asyncio.create_task(asyncio.to_thread(invoice_run.run, running, first))
        await kill_all(faults, 1)
        await closing
        snapshot = await asyncio.to_thread(Snapshot, running, first)
        for name, terms in OWN.items():
            await asyncio.to_thread(put_billing, running, name, terms)
        await kill_all(faults, 2)
        stop.set()
        await asyncio.gather(*tasks)
        await asyncio.gather(*(agent.again() for agent in agents))
    print(f"  {len(book.prices)} events, {clerk.paid} payments, faults {dict(faults.done)}", flush=True)
    await asyncio.to_thread(until, lambda: in_ledger(running) == len(book.prices), "the ledger has every event")
    # every period of every customer ends, and nothing is accepted meanwhile
    collector.set(ahead=ahead(16))
    silent = Faults(running, random.Random(SEED), itertools.count().__next__, (*KILLED, *OTHERS))
    await kill_all(silent, 3)
    return snapshot


def in_ledger(running: RunningStack) -> int:
    return int(
        running.sql("SELECT count() FROM rev.entries WHERE kind = 'event' AND startsWith(customer_id, 'invoiced-')")
    )


def entries(running: RunningStack) -> dict[str, list[Entry]]:
    """By customer: the entries that are to be invoiced."""
    time_of = "concat(replaceOne(toString({}, 'UTC'), ' ', 'T'), 'Z')"
    rows = running.sql(
        "SELECT customer_id, event_id, kind, ifNull(original, 0), "
        f"{time_of.format('event_time')}, {time_of.format('recorded_at')}, toString(total_cents),"
        " toString(ifNull(credit_cents, toDecimal128(0, 12))) FROM rev.entries"
        " WHERE total_cents != 0 AND NOT test ORDER BY recorded_at, event_id, kind FORMAT TSV"
    )
    found: dict[str, list[Entry]] = {}
    for row in rows.splitlines():
        customer, id, kind, original, happened, accepted, cents, credit = row.split("\t")
        made = Entry(int(id), kind, int(original), happened, accepted, Decimal(cents), Decimal(credit))
        found.setdefault(customer, []).append(made)
    return found


def documents(running: RunningStack) -> tuple[list[Object], list[Object]]:
    """All invoices but drafts, with their lines, and all credit notes."""
    invoices: list[Object] = []
    notes: list[Object] = []
    cursor: str | None = ""
    while cursor is not None:
        page = get(running, f"/api/admin/invoices?limit=50&cursor={cursor}" if cursor else "/api/admin/invoices")
        cursor = page["next_cursor"]
        for number in (one["number"] for one in page["invoices"] if one["state"] != "draft"):
            shown = get(running, f"/api/admin/invoices/{number}")
            invoices.append({**shown["invoice"], "lines": shown["lines"]})
            notes += shown["credit_notes"]
    return invoices, notes


def is_closed(running: RunningStack) -> bool:
    """Whether as many entries are on documents as there are."""
    billed = sum(int(one["entries"]) for some in documents(running) for one in some)
    return billed == count(entries(running))


def count(found: dict[str, list[Entry]]) -> int:
    return sum(len(mine) for mine in found.values())


def check_ledger(found: dict[str, list[Entry]], invoices: Sequence[Object], notes: Sequence[Object]) -> None:
    """Each entry is on one document, and their sums and what is carried on are the ledger's, for each customer."""
    for customer, mine in found.items():
        papers, credits = ([one for one in some if one["customer_id"] == customer] for some in (invoices, notes))
        reckoning = Reckoning(mine, papers, credits)
        assert (customer, reckoning.errors, len(reckoning.left)) == (customer, [], 0)
        totals = sum(one["total_cents"] for one in papers) - sum(one["total_cents"] for one in credits)
        assert totals + reckoning.carried == due(mine)
    for invoice in invoices:
        assert sum(line["amount_cents"] for line in invoice["lines"]) == invoice["lines_cents"], invoice["number"]
    for kind, some in (("INV", invoices), ("CN", notes)):
        assert sorted(one["number"] for one in some) == [f"{kind}-{n:06d}" for n in range(1, len(some) + 1)]


def check_statements(running: RunningStack, found: dict[str, list[Entry]]) -> None:
    """The lines of every month's statement add up to its entries."""
    for customer, mine in found.items():
        for month in sorted({one.happened[:7] for one in mine}):
            shown = get(running, f"/api/admin/statements?customer_id={customer}&month={month}")
            some = [one for one in mine if one.happened.startswith(month)]
            assert sum(line["amount_cents"] for line in shown["lines"]) == sum(one.cents for one in some)
            assert shown["due_cents"] == due(some)


def command(running: RunningStack, *arguments: str) -> int:
    """The exit code of a `rev` command of an operator."""
    env = {**os.environ, "REV_URL": running.http, "REV_ADMIN_TOKEN": running.admin_token}
    return subprocess.run([sys.executable, "-m", "tools.cli", *arguments], env=env, check=False).returncode


def changes_after(running: RunningStack, at: str, month: MonthRange) -> int:
    """How many prices were changed, and entries of a month came, since a time."""
    start, end = (f"fromUnixTimestamp64Milli(toInt64({one}))" for one in month)
    return int(
        running.sql(
            f"SELECT count() FROM rev.entries WHERE recorded_at > parseDateTime64BestEffort('{at}', 3, 'UTC') AND"
            f" (config_type = 'pricing.updated' OR (NOT test AND kind IN ('event', 'void') AND event_time >= {start}"
            f" AND event_time < {end}))"
        )
    )


def lose_ledger(data: Path) -> None:
    """Lose what the engine holds; its users are made by `rev up`, not from the log."""
    for path in (data / "clickhouse").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "users.json":
            path.unlink()


def test_invoices_are_the_ledger_and_stripe_has_them_whatever_dies(tmp_path: Path) -> None:
    """Each entry is on one invoice or credit note; a statement keeps its bytes, also over a ledger that is lost."""
    collector, book, first = CollectorSettings(tmp_path / "collector.json"), Book(), closed_month()
    with served_stripe(stripe_faults()) as stripe:
        stripe.retry_after = "1"
        env = {
            "REV_PARTITIONS": PARTITIONS,
            "REV_STRIPE": "invoice",
            "REV_STRIPE_KEY": KEY,
            "REV_STRIPE_URL": stripe.url,
            **collector.read_by,
        }
        running = RunningStack(tmp_path / "data", env)
        try:
            running.wait_ready()
            snapshot = asyncio.run(torment(running, book, first, collector))
            assert book.errors == []
            until(lambda: is_closed(running), "every entry is invoiced")
            found = entries(running)
            settle(running, stripe, collector)
            invoices, notes = documents(running)
            report(found, invoices, notes, stripe)
            check_ledger(found, invoices, notes)
            check_statements(running, found)
            assert list(unlike_stripe(invoices, notes, stripe)) == []
            for month in sorted({one["month"] for one in invoices}):
                assert command(running, "reconcile", "stripe", "--month", month) == 0
            later = changes_after(running, min(snapshot.as_of.values()), month_range(first))
            print(f"  {later} changes since the statements", flush=True)
            assert later >= LATER
            assert snapshot.unlike(running) == []
        finally:
            assert running.stop() == 0, "rev up stops cleanly after all of it"
        lose_ledger(running.data)
        again = RunningStack(running.data, env)
        try:
            again.wait_ready()
            until(lambda: entries(again) == found, "the ledger is built again")
            assert snapshot.unlike(again) == []
            assert documents(again) == (invoices, notes)
            assert command(again, "verify", "--data", str(again.data)) == 0
        finally:
            assert again.stop() == 0


def settle(running: RunningStack, stripe: StripeStandIn, collector: CollectorSettings) -> None:
    """Let a day pass in which Stripe answers, until it has everything."""
    stripe.fail()
    stripe.forget_keys()
    collector.set(ahead=ahead(17))

    def all_sent() -> bool:
        pushes = get(running, "/api/admin/stripe/pushes")
        assert pushes["refused"] == 0, pushes
        return bool(pushes["unsent"] == 0)

    until(all_sent, "Stripe has every invoice")


def report(
    found: dict[str, list[Entry]], invoices: Sequence[Object], notes: Sequence[Object], stripe: StripeStandIn
) -> None:
    by_customer = Counter(one["customer_id"] for one in invoices)
    print(f"  {count(found)} entries on {len(invoices)} invoices and {len(notes)} credit notes: {dict(by_customer)}")
    print(f"  {sum(one['entries'] for one in notes)} of them voided after an invoice")
    print(f"  Stripe's stand-in was asked {stripe.asked.total()} times: {dict(stripe.asked)}", flush=True)
