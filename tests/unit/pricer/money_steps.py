"""Random logs in which everything that moves money meets: prices with every term, budgets, credit, reservations,
outcomes, voids, repeats, events before their price, both modes, notices of invoices and the ends of billing periods."""

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from pricer.memory import MemoryShard
from schemas import open_months, reservations
from schemas.commands import (
    ChargeUnpriced,
    CloseMonth,
    Command,
    CreateBudget,
    DeleteBudget,
    DeletePrice,
    EventLabels,
    Expire,
    ExpireGrant,
    ExpireReservation,
    Genesis,
    GrantCredit,
    InvoiceNotice,
    Meter,
    MeterEvent,
    Mode,
    OnEmpty,
    Rates,
    ReadBalance,
    ReadBudgets,
    ReadOutcome,
    ReadReservations,
    Register,
    ReleaseReservation,
    Reserve,
    Resolve,
    SeedPrice,
    SetBillingAnchor,
    SetPrice,
    Unpriced,
)
from schemas.limits import DAY
from schemas.months import month_range
from schemas.open_months import MONTH_PREFIX
from schemas.quantities import QuantityRate
from schemas.tiers import Step, Tiers
from schemas.topics import CONFIG_KEY
from tests.unit.verify.pricer_ledger import rows_of, void_of

NOVEMBER = 1_793_491_200_000
"""The first ms of November 2026, UTC."""
WINDOW = 2 * DAY
PARTITIONS = 2
CUSTOMERS = ("acme", "acme", "acme", "acme", "globex")
VOLUME = (
    Tiers("event", (Step("2", "1.5"), Step(None, "1"))),
    Tiers("images", (Step("3", "2"), Step(None, "0.5"))),
)
GRADUATED = (
    Tiers("event", (Step("2", "0"), Step("4", "2"), Step(None, "1"))),
    Tiers("images", (Step("2.5", "1"), Step(None, "0.25"))),
)
IMAGES = (QuantityRate("images", "0.5"),)
RATES = (
    Rates("1", "0.1", "2", IMAGES),
    Rates("1", "0.1", "2", IMAGES, cap="6"),
    Rates("2", "0.25", "1", IMAGES, cap="4", minimum="3"),
    Rates("1", "0", "3", IMAGES, minimum="9"),
    Rates("0", "0.1", "2", tiers=VOLUME, tier_mode="volume"),
    Rates("0", "0.1", "0", tiers=VOLUME, tier_mode="volume", minimum="12"),
    Rates("0", "0.1", "2", tiers=GRADUATED),
    Rates("0", "0.2", "2", tiers=GRADUATED, cap="5", minimum="5"),
)
ON_EMPTY: st.SearchStrategy[OnEmpty] = st.sampled_from(["charge", "charge", "charge", "charge", "charge", "refuse"])
MODES: st.SearchStrategy[Mode] = st.sampled_from(["live", "live", "live", "live", "live", "test"])
KEYS = st.sampled_from(["k1", None, None, None, None, None, None, None])
PICK = st.integers(0, 30)


class Later(NamedTuple):
    """A step that becomes a command only when the log before it is there."""

    name: str
    make: Callable[[MemoryShard], Command | None]

    def __repr__(self) -> str:
        return self.name


def reserved(log: MemoryShard, pick: int) -> tuple[str, str]:
    """The customer and id of a reservation that was made, mostly of an open one; or of none."""
    rows = list(rows_of(log))
    made = [row for row in rows if row["config_type"] == "reservation.created"]
    held = {reservations.decode(value).id for shard in log.shards for _, value in shard.scan(reservations.OPEN_PREFIX)}
    still = [row for row in made if row["event_id"] in held]
    made = still if still and pick < 24 else made
    if not made:
        return "acme", "rs_7"
    row = made[-1 - pick % len(made)]
    return row["customer_id"], f"rs_{row['event_id']}"


EVENT = st.builds(
    MeterEvent,
    agent_id=st.sampled_from(["a", "b"]),
    action=st.sampled_from(["chat", "chat", "chat", "draw", "draw", "fax"]),
    tokens=st.integers(0, 30),
    outcome=st.sampled_from([None, None, "success", "pending"]),
    idempotency_key=KEYS,
    model=st.sampled_from([None, None, "m"]),
    quantities=st.sampled_from([{}, {"images": "1"}, {"images": "2.5"}]),
)


@st.composite
def meters(draw: st.DrawFn) -> Later:
    """A command of events, some of which settle reservations."""
    events = draw(st.lists(EVENT, min_size=1, max_size=4))
    mode: Mode = draw(MODES)
    customer, on_empty = draw(st.sampled_from(CUSTOMERS)), draw(ON_EMPTY)
    rarely = st.one_of(st.none(), st.none(), st.none(), PICK)
    settles = draw(st.lists(rarely, min_size=len(events), max_size=len(events)))
    import_id = draw(st.sampled_from([None, None, "imp_1"]))
    unpriced: Unpriced = draw(st.sampled_from(["accept", "accept", "accept", "refuse"]))

    def make(log: MemoryShard) -> Command:
        owner, named = customer, []
        for event, pick in zip(events, settles, strict=True):
            if pick is not None and (pick == 30 or reserved(log, pick)[1] != "rs_7"):
                owner_of, id = reserved(log, pick)
                owner = owner_of
                named.append(replace(event, reservation_id=id))
            else:
                named.append(event)
        meter = Meter(owner, 1, named, WINDOW, DAY, len(named) > 1, mode == "test", mode, import_id, on_empty)
        return replace(meter, unpriced=unpriced)

    return Later(f"meter {events} {settles} {customer} {mode} {on_empty} {unpriced}", make)


@st.composite
def endings(draw: st.DrawFn) -> Later:
    """What refers to something that the log has made."""
    how = draw(
        st.sampled_from(
            ["release", "rs.expire", "rs.read", "void", "void", "void", "budget", "grant", "resolve", "resolve",
             "expire", "read", "close", "close", "close", "price", "unpriced", "unpriced"]
        )
    )  # fmt: skip
    pick, mode, flag = draw(PICK), draw(MODES), draw(st.booleans())
    key = draw(KEYS)

    def make(log: MemoryShard) -> Command | None:
        rows = list(rows_of(log))

        def chosen(which: Callable[[dict[str, Any]], Any]) -> Any:
            found = [row for row in rows if which(row)]
            return found[-1 - pick % len(found)] if found else None

        match how:
            case "release":
                customer, id = reserved(log, pick)
                return ReleaseReservation(customer, 1, id, mode)
            case "rs.expire":
                customer, id = reserved(log, pick)
                return ExpireReservation(customer, id, mode == "test")
            case "rs.read":
                customer, id = reserved(log, pick)
                return ReadReservations(customer, mode, id if flag else None)
            case "void":
                row = chosen(lambda row: row["kind"] in ("event", "charge"))
                return None if row is None else void_of(row)
            case "budget":
                row = chosen(lambda row: row["config_type"] == "budget.created")
                return None if row is None else DeleteBudget(row["customer_id"], row["event_id"])
            case "grant":
                row = chosen(lambda row: row["config_type"] == "credit.granted")
                return None if row is None else ExpireGrant(row["customer_id"], row["event_id"], row["test"])
            case "resolve" | "expire" | "read":
                row = chosen(lambda row: row["outcome_id"] and row["kind"] in ("event", "registered"))
                if row is None:
                    return None
                customer, id = row["customer_id"], row["outcome_id"]
                if how == "resolve":
                    return Resolve(customer, 3, id, flag, WINDOW, idempotency_key=key, mode=mode)
                return Expire(customer, id) if how == "expire" else ReadOutcome(customer, id, mode)
            case "unpriced":
                row = chosen(lambda row: row["kind"] == "event" and not row["price_id"])
                if row is None:
                    return None
                ids = [one["event_id"] for one in rows if one["kind"] == "event" and not one["price_id"]]
                named = ids if flag else [row["event_id"]]
                return ChargeUnpriced(row["customer_id"], row["api_key_id"], named, row["test"])
            case "price":
                return DeletePrice(pick) if flag else None
            case _:
                found = [value for shard in log.shards for _, value in shard.scan(MONTH_PREFIX)]
                if not found:
                    return None
                one = open_months.decode(found[pick % len(found)])
                if flag:
                    log.now = max(log.now, month_range(one.month).end if one.end is None else one.end)
                return CloseMonth(one.customer_id, one.month, one.action, one.own, one.model, one.provider, one.test)

    return Later(f"{how} {pick} {mode} {flag} {key}", make)


@st.composite
def reserves(draw: st.DrawFn) -> Reserve:
    mode: Mode = draw(MODES)
    estimate = draw(st.one_of(st.none(), EVENT))
    if estimate is not None:
        estimate = replace(estimate, idempotency_key=None)
    return Reserve(
        draw(st.sampled_from(CUSTOMERS)), 1, draw(st.sampled_from([1, DAY // 4, DAY])), WINDOW,
        amount=draw(st.sampled_from(["0", "0.5", "3", "5"])) if estimate is None else None,
        event=draw(st.sampled_from([None, EventLabels("a", "chat"), EventLabels("a", "chat", "m")]))
        if estimate is None else None,
        estimate=estimate, idempotency_key=draw(KEYS), test=mode == "test", mode=mode,
        on_empty=draw(ON_EMPTY),
    )  # fmt: skip


@st.composite
def budgets(draw: st.DrawFn) -> CreateBudget:
    scope, value = draw(
        st.sampled_from([("all", ""), ("all", ""), ("agent", "a"), ("action", "chat"), ("model", "m"), ("key", "1")])
    )
    return CreateBudget(
        draw(st.sampled_from(CUSTOMERS)), scope, draw(st.sampled_from(["day", "month", "total"])),
        draw(st.sampled_from(["3", "8", "20"])), draw(st.booleans()), value,
        draw(MODES) == "test", draw(st.sampled_from([None, None, "b1"])),
    )  # fmt: skip


@st.composite
def grants(draw: st.DrawFn) -> Later:
    customer, amount, wait = (
        draw(st.sampled_from(CUSTOMERS)),
        draw(st.sampled_from(["2", "5", "30"])),
        draw(st.sampled_from([None, 1, DAY // 2, 25 * DAY])),
    )
    priority, test, low = draw(st.sampled_from([50, 1])), draw(MODES) == "test", draw(st.sampled_from([None, 20, 100]))
    key = draw(st.sampled_from([None, None, "b1"]))

    def make(log: MemoryShard) -> Command:
        expires = None if wait is None else log.now + wait
        return GrantCredit(customer, amount, "why", expires, priority, test, key, low_percent=low)

    return Later(f"grant {customer} {amount} {wait} {priority} {test} {low} {key}", make)


@st.composite
def prices(draw: st.DrawFn) -> Later:
    action, rates = draw(st.sampled_from(["chat", "draw", "fax"])), draw(st.sampled_from(RATES))
    customer, model = draw(st.sampled_from([None, None, "acme"])), draw(st.sampled_from([None, None, "m"]))
    wait = draw(st.sampled_from([None, None, DAY // 2, 16 * DAY]))

    def make(log: MemoryShard) -> Command:
        start = None if wait is None else log.now + wait
        return SetPrice(action, rates, customer, model=model, effective_at=start)

    return Later(f"price {action} {rates} {customer} {model} {wait}", make)


@st.composite
def registers(draw: st.DrawFn) -> Later:
    mode: Mode = draw(MODES)
    customer, task, cents = (
        draw(st.sampled_from(CUSTOMERS)), draw(st.sampled_from(["t1", "t2"])), draw(st.sampled_from(["5", "0.25"]))
    )  # fmt: skip
    key, on_expiry = draw(KEYS), draw(st.sampled_from(["failure", "success"]))

    def make(log: MemoryShard) -> Command:
        return Register(
            customer_id=customer, api_key_id=1, task_id=task, agent_id="a", price_on_success=cents,
            expires_at=log.now + DAY, idempotency_window=WINDOW, idempotency_key=key, on_expiry=on_expiry,
            test=mode == "test", mode=mode,
        )  # fmt: skip

    return Later(f"register {customer} {task} {cents} {mode} {key}", make)


ANCHORS = st.builds(SetBillingAnchor, st.sampled_from(CUSTOMERS), st.sampled_from([1, 16, 20, 31]))
NOTICES = st.builds(
    InvoiceNotice, st.just("acme"), st.integers(1, 4), st.just("invoice.created"), st.just(Raw(b'{"total_cents":5}'))
)
READS = st.one_of(
    st.builds(ReadBalance, st.sampled_from(CUSTOMERS), MODES),
    st.builds(ReadBudgets, st.sampled_from(CUSTOMERS), amount=st.just("1")),
)
WAITS = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 1000, DAY // 4, DAY, 9 * DAY])
STEPS = st.lists(
    st.tuples(
        WAITS,
        st.one_of(
            meters(), meters(), meters(), meters(), meters(), endings(), endings(), endings(), endings(), reserves(),
            reserves(), budgets(), grants(), grants(), prices(), registers(), READS, ANCHORS, NOTICES,
        ),
    ),
    min_size=15, max_size=45,
)  # fmt: skip


def log_of(steps: list[tuple[int, Any]]) -> MemoryShard:
    """A log of these steps, each so many ms after the one before, decided record by record."""
    log = MemoryShard(PARTITIONS)
    log.now = NOVEMBER + 14 * DAY
    log.append(CONFIG_KEY, Genesis("e", [SeedPrice("chat", Rates("0.1", "0.01", "0.05"))]))
    for action, rates in (("chat", RATES[2]), ("draw", RATES[5])):
        log.append(CONFIG_KEY, SetPrice(action, rates))
    for wait, step in steps:
        log.now += wait
        command = step.make(log) if isinstance(step, Later) else step
        if command is None:
            continue
        key = CONFIG_KEY if isinstance(command, SetPrice | DeletePrice) else command.customer_id.encode()
        log.append(key, command)
    return log
