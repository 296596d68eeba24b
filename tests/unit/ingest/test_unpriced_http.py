"""GET /api/admin/unpriced: what came in without a price, counted, bounded, kept over a restart."""

from pathlib import Path
from typing import Any

import pytest

from ingest import unpriced_actions
from ingest.unpriced_actions import UnpricedActions, UnpricedKey
from schemas.objects import iso
from tests.unit.ingest.conftest import ADMIN, NOW, Gateway


async def unpriced(gateway: Gateway) -> dict[str, Any]:
    answer = await gateway.call("GET", "/api/admin/unpriced", None, ADMIN)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def cloud_event(id: str, type: str, **data: Any) -> dict[str, Any]:
    return {"id": id, "source": "app", "specversion": "1.0", "type": type, "subject": "acme-corp", "data": data}


async def test_every_way_in_is_counted(gateway: Gateway, key: str) -> None:
    """A dialect, one event and a batch; explain counts nothing. A price later shows as priced now."""
    assert await unpriced(gateway) == {"actions": 0, "events": 0, "unpriced": []}
    event = {"agent_id": "a", "action": "fax", "tokens": 1}
    refused = await gateway.call("POST", "/v1/meter", event, key)
    assert (refused.status, refused.json["error"]) == (400, "no price for action 'fax'")
    gateway.now += 1000
    batch = {"events": [event, {**event, "action": "completion"}, event]}
    assert (await gateway.call("POST", "/v1/meter/batch", batch, key)).status == 400
    sent = cloud_event("1", "telex", model="m")
    assert (await gateway.call("POST", "/v1/explain?dialect=openmeter", sent, key)).status == 200
    answer = await gateway.call("POST", "/openmeter/api/v1/events", sent, key)
    assert (answer.status, answer.json["detail"]) == (400, "no price for action 'telex'")
    found = await unpriced(gateway)
    telex, fax = found["unpriced"]
    assert (found["actions"], found["events"]) == (2, 4)
    assert fax == {
        "customer_id": "acme-corp",
        "action": "fax",
        "dialect": "rev",
        "reason": "no price for action 'fax'",
        "events": 3,
        "first_seen_at": iso(NOW),
        "last_seen_at": iso(NOW + 1000),
        "priced_now": False,
    }
    assert (telex["dialect"], telex["model"], telex["events"]) == ("openmeter", "m", 1)
    await gateway.call("POST", "/api/admin/pricing", {"action_type": "fax", "base_rate_cents": 1}, ADMIN)
    found = await unpriced(gateway)
    assert (found["actions"], found["events"]) == (1, 1)
    assert [row["priced_now"] for row in found["unpriced"]] == [False, True]
    assert not any(b'"kind":"event"' in entry or b'"kind":"rejected"' in entry for entry in gateway.log.entries)


async def test_a_quantity_without_a_rate_is_on_the_list_too(gateway: Gateway, key: str) -> None:
    await gateway.call("POST", "/api/admin/pricing", {"action_type": "*", "base_rate_cents": 1}, ADMIN)
    seats = {"transaction_id": "t", "external_subscription_id": "acme-corp", "code": "seats"}
    sent = {"events": [{**seats, "properties": {"value": "3"}}]}
    assert (await gateway.call("POST", "/lago/api/v1/events/batch", sent, key)).status == 422
    (row,) = (await unpriced(gateway))["unpriced"]
    assert row["reason"] == "quantities.value must have a rate in the price of action 'seats'"
    assert (row["dialect"], row["events"], row["priced_now"]) == ("lago", 1, False)
    price = {"action_type": "seats", "base_rate_cents": 0, "rates": {"value": 2}}
    assert (await gateway.call("POST", "/api/admin/pricing", price, ADMIN)).status == 201
    assert (await unpriced(gateway))["unpriced"][0]["priced_now"] is True


async def test_test_mode_is_marked_and_not_summed(gateway: Gateway) -> None:
    key = await gateway.make_key("acme-corp", test=True)
    await gateway.call("POST", "/v1/meter", {"agent_id": "a", "action": "fax"}, key)
    found = await unpriced(gateway)
    assert (found["actions"], found["events"], found["unpriced"][0]["test"]) == (0, 0, True)


async def test_only_the_admin_token_reads_it(gateway: Gateway, key: str) -> None:
    assert (await gateway.call("GET", "/api/admin/unpriced", None, key)).status == 401
    assert (await gateway.call("GET", "/api/admin/unpriced?limit=1", None, ADMIN)).status == 400


def named(customer: str, action: str) -> UnpricedKey:
    return UnpricedKey(customer, "live", action, None, None, "otlp", None)


def test_whoever_makes_up_actions_pushes_out_only_their_own() -> None:
    listed = UnpricedActions()
    listed.note(named("quiet", "fax"), 1)
    for number in range(3 * unpriced_actions.MAX_ROWS):
        listed.note(named("loud", f"a{number}"), 2)
    rows = listed.rows
    assert len(rows) == unpriced_actions.MAX_OF_CUSTOMER + 1
    assert (rows[0].key.action, rows[-1].key.customer_id) == (f"a{3 * unpriced_actions.MAX_ROWS - 1}", "quiet")


def test_the_list_is_bounded_and_what_was_seen_longest_ago_goes() -> None:
    listed = UnpricedActions()
    for number in range(unpriced_actions.MAX_ROWS + 1):
        listed.note(named(f"c{number}", "fax"), number)
        listed.note(named("c0", "fax"), number)
    assert len(listed.rows) == unpriced_actions.MAX_ROWS
    assert [row.key.customer_id for row in listed.rows][-1] == "c2"


def test_the_list_is_kept_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "gateway" / "unpriced-0.json"
    first = UnpricedActions()
    first.load(path)
    first.save(path)
    assert not path.exists()
    for at in (1, 2):
        first.note(named("c", "fax"), at)
    first.note(named("d", "telex"), 3)
    first.save(path)
    second = UnpricedActions()
    second.load(path)
    assert [(row.key, row.events, row.first_seen, row.last_seen) for row in second.rows] == [
        (named("d", "telex"), 1, 3, 3),
        (named("c", "fax"), 2, 1, 2),
    ]
    second.note(named("c", "fax"), 4)
    assert (second.rows[0].events, second.rows[0].first_seen) == (3, 1)


@pytest.mark.parametrize("damaged", [b"", b"[", b'[{"key": 1}]', b"\xff"])
def test_a_damaged_file_is_no_reason_not_to_start(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(damaged)
    listed = UnpricedActions()
    listed.load(path)
    assert not listed.rows


async def test_gateways_of_one_port_show_one_list(tmp_path: Path) -> None:
    """Whichever of them is asked; none loses what another wrote, and a damaged file hides no other."""
    paths = [tmp_path / f"unpriced-{number}.json" for number in range(3)]
    lists = [UnpricedActions([path for path in paths if path != own]) for own in paths]
    for at, listed in enumerate(lists, 1):
        listed.note(named("c", "fax"), at)
        listed.note(named("c", f"a{at}"), 10 * at)
    for listed, path in zip(lists, paths, strict=True):
        listed.save(path)
    for listed in lists:
        rows = await listed.all_rows()
        assert [(row.key.action, row.events, row.first_seen, row.last_seen) for row in rows] == [
            ("a3", 1, 30, 30), ("a2", 1, 20, 20), ("a1", 1, 10, 10), ("fax", 3, 1, 3),
        ]  # fmt: skip
        assert len(listed.rows) == 2
    paths[1].write_bytes(b"[")
    paths[2].unlink()
    assert {row.key.action for row in await lists[0].all_rows()} == {"a1", "fax"}
