"""The real pricer's ledger, on random logs, agrees with the model that knows nothing of it."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricer import memory
from schemas import commands
from schemas.commands import (
    CloseMonth,
    CreateBudget,
    CreateKey,
    CreateWebhook,
    DeleteBudget,
    DeletePrice,
    DeleteWebhook,
    EnsureCustomer,
    Expire,
    ExpireGrant,
    ExpireReservation,
    Genesis,
    GrantCredit,
    ListedPrice,
    Meter,
    MeterEvent,
    Mode,
    ProbeWebhook,
    Rates,
    ReadBalance,
    ReadBillingAnchor,
    ReadBudgets,
    ReadOutcome,
    ReadReservations,
    Register,
    ReleaseReservation,
    ReplayWebhook,
    Reserve,
    Resolve,
    RevokeKey,
    RotateWebhook,
    SeedPrice,
    SetBillingAnchor,
    SetPrice,
    SetPriceList,
    UpdateWebhook,
    Void,
)
from schemas.commands import UpdateCustomer as Update
from schemas.quantities import TOKEN_KINDS, QuantityRate
from schemas.tiers import Step, Tiers
from tests.unit.verify.pricer_ledger import check, rows_of, void_of

CUSTOMERS = ("acme", "globex", "hooli")
ACTIONS = ("chat", "search", "*", "none")
AMOUNT = st.sampled_from(["0", "0.5", "0.000000000001", "999999999.999999999999", "1000000000", "0.0003"])
QUANTITY = st.sampled_from(["input", "output", "cache_read", "reasoning", "images", "audio_seconds", "rows"])
UNIT_RATE = st.builds(QuantityRate, QUANTITY, AMOUNT, st.sampled_from([1, 1, 1000, 10**6, 3]))
STEPS = st.sampled_from(
    [
        (Step(None, "2"),),
        (Step("1", "0"), Step("2401", "0.0003"), Step(None, "250", 10**6)),
        (Step("25", "0.5"), Step(None, "0")),
        (Step("2", "1"), Step("2", "1"), Step(None, "0")),
        (Step("12.5", "0.5"), Step(None, "0.25")),
        (Step("3", "5"),),
    ]
)
TIERS = st.builds(Tiers, st.one_of(QUANTITY, st.just("event"), st.just("event")), STEPS)
RATES = st.builds(
    Rates,
    AMOUNT | st.just("0"),
    AMOUNT,
    AMOUNT,
    st.lists(UNIT_RATE, max_size=3).map(tuple),
    st.sampled_from([False, True]),
    st.one_of(st.just(()), st.lists(TIERS, max_size=3).map(tuple)),
)
PLAIN_RATES = st.builds(Rates, AMOUNT, AMOUNT, AMOUNT)
COUNTS = st.dictionaries(QUANTITY, st.sampled_from(["0", "1", "2400", "30000"]), max_size=3)
LABEL = st.sampled_from([None, None, "m"])
METADATA = st.sampled_from([b'{"a":1,"b":1.50}', b'{ "b":1.50,"a":1}', b'{"a":1.0}', '{"ü":[null]}'.encode()])


def counted(event: MeterEvent, counts: dict[str, str]) -> MeterEvent:
    """An event with quantities as a gateway writes them."""
    kinds = {name: int(text) for name, text in counts.items() if name in TOKEN_KINDS}
    if not counts:
        return event
    halves = None if not kinds.keys() & {"input", "output"} else (kinds.get("input", 0), kinds.get("output", 0))
    return msgspec.structs.replace(
        event,
        tokens=sum(kinds.values()) if kinds else event.tokens,
        tokens_input=halves and halves[0],
        tokens_output=halves and halves[1],
        quantities={name: text for name, text in counts.items() if name not in ("input", "output")}
        | ({"audio_seconds": "12.500001"} if "audio_seconds" in counts else {}),
    )


EVENT = st.builds(
    counted,
    st.builds(
        MeterEvent,
        st.just("agent"),
        st.sampled_from([*ACTIONS, "outcome_charge"]),
        st.sampled_from([0, 1, 2400, 10**12]),
        outcome=st.sampled_from([None, "success", "failure", "pending"]),
        expires_at=st.sampled_from([None, 500, 1500]),
        metadata=st.one_of(st.just(commands.EMPTY), METADATA.map(msgspec.Raw)),
        idempotency_key=st.sampled_from([None, "k1", "k2", "k3"]),
        event_time=st.sampled_from([None, 7]),
        model=st.sampled_from([None, "m"]),
        provider=LABEL,
    ),
    st.one_of(st.just({}), COUNTS),
)


def moded(command: Any, mode: Mode | None) -> Any:
    """A command as a gateway of today sends it in a mode; None: as it stands, from before modes were separate."""
    if mode is None:
        return command
    more = {"test": mode == "test"} if isinstance(command, Meter | Register) else {}
    return msgspec.structs.replace(command, mode=mode, **more)


MODE = st.sampled_from([None, "live", "test"])
METER = st.builds(
    lambda customer, events, test, window, mode: moded(
        Meter(customer, 1, events, window, 50, len(events) > 1, test), mode
    ),
    st.sampled_from(CUSTOMERS),
    st.lists(EVENT, min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([100, 100_000]),
    MODE,
)
ENDPOINT = st.integers(1, 3)
CONFIGURE = st.one_of(
    st.builds(
        SetPrice,
        st.sampled_from([*ACTIONS, "outcome_charge"]),
        RATES,
        st.sampled_from([None, *CUSTOMERS, "_x"]),
        model=LABEL,
        provider=LABEL,
        effective_at=st.sampled_from([None, None, 95, 150, 300, 301, 600, 10**12]),
    ),
    st.builds(
        SetPriceList,
        st.lists(
            st.builds(
                ListedPrice,
                st.sampled_from([*ACTIONS, *ACTIONS, "outcome_charge"]),
                st.one_of(RATES, st.just(Rates("0.5", "0.0003", "0.25"))),
                st.sampled_from([None, *CUSTOMERS]),
                effective_at=st.sampled_from([None, None, None, 150, 300, 600, 601]),
            ),
            max_size=3,
        ),
    ),
    st.builds(DeletePrice, st.integers(1, 6)),
    st.builds(CreateKey, st.sampled_from([*CUSTOMERS, "*", "_x"]), st.just("h"), st.just("m")),
    st.builds(RevokeKey, st.integers(1, 4)),
    st.builds(EnsureCustomer, st.sampled_from([*CUSTOMERS, "_x"]), st.just("key 1")),
    st.builds(
        Update,
        st.sampled_from(CUSTOMERS),
        st.sampled_from([None, "n"]),
        test=st.sampled_from([None, True]),
        on_empty=st.sampled_from([None, None, "charge", "refuse"]),
    ),
    st.builds(
        CreateWebhook,
        st.sampled_from(CUSTOMERS),
        st.just("https://x.example"),
        st.just(["*"]),
        st.just("secret"),
        test=st.booleans(),
    ),
    st.builds(
        UpdateWebhook,
        ENDPOINT,
        st.sampled_from(CUSTOMERS),
        st.sampled_from([None, "https://y.example"]),
        active=st.sampled_from([None, True, False]),
    ),
    st.builds(UpdateWebhook, ENDPOINT, st.sampled_from(CUSTOMERS), active=st.just(False), disabled=st.just("gone")),
    st.builds(RotateWebhook, ENDPOINT, st.sampled_from(CUSTOMERS), st.just("other")),
    st.builds(DeleteWebhook, ENDPOINT, st.sampled_from(CUSTOMERS)),
    st.builds(ProbeWebhook, ENDPOINT, st.sampled_from(CUSTOMERS)),
    st.builds(
        ReplayWebhook,
        ENDPOINT,
        st.sampled_from(CUSTOMERS),
        st.sampled_from([None, 5]),
        st.sampled_from([None, 0, 1, 2, 3]),
    ),
    st.builds(Genesis, st.just("e"), st.lists(st.builds(SeedPrice, st.sampled_from(ACTIONS), PLAIN_RATES), max_size=3)),
)
CUSTOMER, KEY = st.sampled_from(CUSTOMERS[:2]), st.sampled_from([None, None, "k1", "k2", "k3"])
TASK = st.sampled_from(["t1", "t2", "t3", "oc_7"])
OLD_REGISTER = st.builds(
    Register,
    CUSTOMER,
    st.just(2),
    TASK,
    st.just("agent"),
    st.sampled_from([91, 181, 491, 1500]),
    st.sampled_from([100, 100_000]),
    price_on_success=AMOUNT,
    price_on_failure=AMOUNT,
    on_expiry=st.sampled_from(["failure", "success"]),
    success_criteria=st.one_of(st.just(commands.EMPTY), METADATA.map(msgspec.Raw)),
    idempotency_key=KEY,
    test=st.booleans(),
)
REGISTER = st.builds(moded, OLD_REGISTER, MODE)
PENDING = st.builds(
    lambda mode, customer, tokens, key, on_expiry, at: moded(
        Meter(
            customer,
            1,
            [MeterEvent("agent", "chat", tokens, None, None, "pending", at, on_expiry, idempotency_key=key, model="m")],
            1000,
            90,
        ),
        mode,
    ),
    MODE,
    CUSTOMER,
    st.sampled_from([0, 7]),
    KEY,
    st.sampled_from([None, "failure", "success"]),
    st.sampled_from([None, 491]),
)
RESOLVE = st.builds(
    lambda mode, target, customer, *rest: moded(Resolve(customer, 3, target, *rest), mode),
    MODE,
    TASK,
    CUSTOMER,
    st.booleans(),
    st.sampled_from([100, 100_000]),
    st.one_of(st.just(commands.EMPTY), METADATA.map(msgspec.Raw)),
    KEY,
)
TARGETED = st.one_of(RESOLVE, RESOLVE, st.builds(Expire, CUSTOMER, TASK), st.builds(ReadOutcome, CUSTOMER, TASK, MODE))


class Aimed(NamedTuple):
    """A command about an outcome that was opened before, as its customer or as another one sends it."""

    command: Resolve | Expire | ReadOutcome
    opened: int
    foreign: bool


class TakeBack(NamedTuple):
    """A void of a row that is in the ledger, as the gateway writes it, or with something wrong
    that the shard can know."""

    row: int
    wrong: str | None


OUTCOME = st.one_of(
    REGISTER,
    PENDING,
    TARGETED,
    st.builds(Aimed, TARGETED, st.integers(0, 20), st.sampled_from([False] * 9 + [True])),
    st.builds(Aimed, RESOLVE, st.integers(0, 20), st.just(False)),
    st.builds(TakeBack, st.integers(0, 60), st.sampled_from([None] * 6 + ["total", "customer", "charge", "id"])),
)
LABELLED = st.builds(
    lambda command, label: msgspec.structs.replace(command, import_id=label),
    st.one_of(METER, PENDING),
    st.sampled_from(["april", "may"]),
)
"""Of imports."""
Step = commands.Command | Aimed | TakeBack
LATER = [*[0, 0, 0, 1, 90, 400] * 3, 31 * 86_400_000]
"""How many ms one step is after another; a month now and then."""
LOGS = st.lists(
    st.tuples(st.one_of(METER, LABELLED, CONFIGURE, OUTCOME, OUTCOME), st.sampled_from(LATER)),
    max_size=40,
)


@settings(deadline=None, max_examples=80)
@given(LOGS)
async def test_the_pricer_and_the_model_agree_on_any_log(steps: list[tuple[Step, int]]) -> None:
    """Every row, amount, id, refusal and audit entry of a random log is what the model says."""
    log = written(steps)
    found, _ = await check(log, list(rows_of(log)))
    assert found == []


@settings(deadline=None, max_examples=80)
@given(LOGS, st.integers(0, 30))
async def test_they_agree_when_retention_has_taken_the_beginning(steps: list[tuple[Step, int]], gone: int) -> None:
    """What the model takes from the ledger instead is enough, wherever the log now begins."""
    log = written(steps)
    firsts = {partition: min(gone, len(shard)) for partition, shard in enumerate(log.raw)}
    found, _ = await check(log, list(rows_of(log)), firsts)
    assert found == []


@pytest.mark.parametrize("command", ["register", "succeed", "fail", "late", "read", "none"])
@pytest.mark.parametrize("tasks", [("test",), (None,), ("test", None), (None, "test"), ("test", "live")])
async def test_a_task_older_than_the_log_and_a_gateway_from_before_modes(
    tasks: tuple[Mode | None, ...], command: str
) -> None:
    """The ledger does not say whether a test task was created before modes were separate: both are right then."""
    task = Register("acme", 1, "t", "agent", 91, 100, price_on_success="2")
    made = [(moded(task if mode else msgspec.structs.replace(task, test=True), mode), 0) for mode in tasks]
    old: dict[str, commands.Command] = {
        "register": task,
        "succeed": Resolve("acme", 1, "t", True, 100),
        "fail": Resolve("acme", 1, "t", False, 100),
        "late": Resolve("acme", 1, "t", True, 100),
        "read": ReadOutcome("acme", "t"),
    }
    later = [(old[command], 90 if command in ("late", "read") else 0)] if command in old else []
    log = written([*made, *later, (moded(task, "live"), 0), (moded(Resolve("acme", 1, "t", True, 100), "test"), 0)])
    partition = next(place for place, shard in enumerate(log.raw) if any(b"register" in one.value for one in shard))
    first = next(one.offset for one in log.raw[partition] if b"register" in one.value)
    for gone in range(len(tasks) + 2):
        found, _ = await check(log, list(rows_of(log)), {partition: first + gone})
        assert found == []


def written(
    steps: Sequence[tuple[Any, int]],
    other: Callable[[Any, memory.MemoryShard], commands.Command] | None = None,
) -> memory.MemoryShard:
    """The log that the steps leave; ``other`` makes the command of a step that is of no kind known here."""
    log = memory.MemoryShard(retention=10**13)  # windows here are longer than those of gateways
    first = SetPrice("chat", Rates("0.5", "0.0003", "0.25"))
    for step, later in [(first, 1), *steps]:
        log.now += later
        command = _command(step, log)
        if other is not None and command is not None and not isinstance(command, msgspec.Struct):
            command = other(command, log)
        if command is not None:
            key = getattr(command, "customer_id", "") if isinstance(command, BY_CUSTOMER) else "_config"
            log.append(key.encode(), command)
    return log


OF_SPENDING = (CreateBudget, DeleteBudget, ReadBudgets, GrantCredit, ExpireGrant, ReadBalance)
OF_RESERVATIONS = (Reserve, ReleaseReservation, ExpireReservation, ReadReservations)
OF_MONTHS = (CloseMonth, SetBillingAnchor, ReadBillingAnchor)
BY_CUSTOMER = (Meter, Register, Resolve, Expire, ReadOutcome, Void, *OF_SPENDING, *OF_RESERVATIONS, *OF_MONTHS)


def _command(step: Step, log: memory.MemoryShard) -> commands.Command | None:
    """A step as the command that it is for this log; None when there is nothing yet to aim at."""
    if isinstance(step, Aimed):
        opened = [row for row in rows_of(log) if row.get("outcome_id") and row["kind"] in ("event", "registered")]
        if not opened:
            return None
        row = opened[step.opened % len(opened)]
        customer = "hooli" if step.foreign else row["customer_id"]
        names = {"customer_id": customer}
        names["outcome_id" if isinstance(step.command, Expire) else "target"] = row["outcome_id"]
        return msgspec.structs.replace(step.command, **names)
    if isinstance(step, TakeBack):
        rows = [row for row in rows_of(log) if row["kind"] in ("event", "registered", "charge", "waived")]
        return void_of(rows[step.row % len(rows)], step.wrong) if rows else None
    return step


def test_the_model_shares_nothing_with_the_pricer() -> None:
    """No module of verify imports the pricer, or the money or price code of schemas."""
    from pathlib import Path

    import tools.verify

    for path in Path(str(tools.verify.__file__)).parent.glob("*.py"):
        text = path.read_text()
        for name in ("pricer", "schemas.money", "schemas.prices", "schemas.entries", "schemas.commands", "msgspec"):
            assert f"from {name}" not in text and f"import {name}" not in text, json.dumps([path.name, name])
