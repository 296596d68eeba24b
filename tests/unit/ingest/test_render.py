"""Rendering is pure and exact: every digit of the receipt, no other."""

import json
import re
from decimal import Decimal, getcontext, localcontext

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingest import render
from ingest.responses import AcceptedBatch, AcceptedResponse, BatchResponse
from schemas.commands import MeterEvent, PriceRef, Rates
from schemas.ids import event_id
from schemas.meter_responses import MeterResponse, metered
from schemas.money import MAX_EVENT, MAX_RATE, format_cents
from schemas.replies import BatchChargedReply, Receipt

amounts = st.integers(0, MAX_EVENT)
rates = st.integers(0, MAX_RATE).map(format_cents)
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?")
EVENT = MeterEvent("agent", "completion", 5, outcome="success")


def exact(body: bytes) -> object:
    return json.loads(body, parse_float=Decimal, parse_int=Decimal)


@given(amounts, amounts, amounts, rates)
def test_every_number_of_a_meter_answer_is_the_receipts(base: int, token: int, bonus: int, rate: str) -> None:
    """Cents as they are, dollars a hundredth of them, no rounding, no exponent, no trailing zero."""
    price = PriceRef(1, "completion", Rates(rate, rate, rate), 3, True)
    parts = [format_cents(part) for part in (base, token, bonus)]
    receipt = Receipt(42, 1_777_204_800_000, price, *parts, total=format_cents(base + token + bonus))
    body = metered("acme", EVENT, receipt)
    shown = exact(body)
    assert isinstance(shown, dict)
    with localcontext() as context:
        context.prec = 60
        assert shown["price"]["total_cents"] == sum(map(Decimal, parts))
        assert list(shown["price"]["breakdown"].values()) == [Decimal(part) for part in parts]
        assert list(shown["price_breakdown"].values()) == [Decimal(part) / 100 for part in parts]
        assert shown["price_charged"] == shown["price"]["total_cents"] / 100
    for number in re.findall(r"(?:cents|charged|base|tokens|outcome)\":([^,}\"]+)", body.decode()):
        assert number == "null" or NUMBER.fullmatch(number), number
    assert msgspec.json.decode(body, type=MeterResponse).event_id == 42


@given(st.lists(amounts, min_size=1, max_size=50), st.integers(0, 2**36), st.integers(0, 63))
def test_a_batch_adds_up_exactly_and_its_ids_are_addresses(totals: list[int], offset: int, partition: int) -> None:
    """The sum of what is shown is the total, beyond the precision of any default context."""
    assert getcontext().prec == 28
    reply = BatchChargedReply(0, [format_cents(total) for total in totals])
    shown = exact(render.batch_metered(partition, offset, reply, False))
    assert isinstance(shown, dict)
    with localcontext() as context:
        context.prec = 60
        assert shown["total_cents"] == sum(result["total_cents"] for result in shown["results"])
    assert [result["event_id"] for result in shown["results"]] == [
        event_id(partition, offset, index) for index in range(len(totals))
    ]


def test_replayed_and_opened_events_of_a_batch_are_marked() -> None:
    """A replayed event has its first id, also in its outcome id."""
    reply = BatchChargedReply(0, ["1", "2", "3"], {1: 777}, [1, 2])
    body = render.batch_metered(0, 1, reply, False)
    first = event_id(0, 1)
    assert json.loads(body) == {
        "results": [
            {"event_id": first, "total_cents": 1},
            {"event_id": 777, "total_cents": 2, "outcome_id": "oc_777", "replayed": True},
            {"event_id": first + 2, "total_cents": 3, "outcome_id": f"oc_{first + 2}"},
        ],
        "total_cents": 4,  # the second was charged before
        "currency": "usd",
        "test": False,
    }
    assert len(msgspec.json.decode(body, type=BatchResponse).results) == 3


def test_accepted_answers_have_the_fields_of_priced_ones() -> None:
    """202 has every field of the 201, null where the price is, and its status."""
    accepted = json.loads(render.accepted("c", EVENT, 42, 0, False))
    receipt = Receipt(42, 0, PriceRef(1, "*", Rates("0", "0", "0"), 0), "0", "0", "0", "0")
    assert accepted.keys() == json.loads(metered("c", EVENT, receipt)).keys() | {"status"}
    assert accepted["price"] is None and accepted["created_at"] == "1970-01-01T00:00:00.000Z"
    msgspec.json.decode(render.accepted("c", EVENT, 42, 0, False), type=AcceptedResponse)
    batch = msgspec.json.decode(render.batch_accepted(0, 1, [EVENT, EVENT], False), type=AcceptedBatch)
    assert [result.event_id for result in batch.results] == [event_id(0, 1), event_id(0, 1) + 1]
