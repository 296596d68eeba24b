"""POST /api/admin/pricing/bulk: JSON and CSV, the preview, and rows that are wrong."""

import json
from decimal import Decimal
from typing import Any

import pytest

BULK, PRICES = "/api/admin/pricing/bulk", "/api/admin/pricing"
ADMIN = "the-admin-token"
CSV_LIST = (
    b"\xef\xbb\xbfaction_type, model,provider,base_rate_cents,rates.input,rates.images,ignore_unknown,effective_at"
    b",minimum_cents,cap_cents\r\n"
    b'completion,"gpt-4o",openai,,250/1000000,1.5,TRUE,,,\r\n'
    b"chat,,,0.1,,,,2026-05-01T00:00:00Z,2.50,5\r\n"
)
ROWS = [
    {
        "action_type": "completion",
        "model": "gpt-4o",
        "provider": "openai",
        "rates": {"input": {"rate": 250, "per": 1000000}, "images": "1.5"},
        "ignore_unknown": True,
    },
    {
        "action_type": "chat",
        "base_rate_cents": 0.1,
        "effective_at": "2026-05-01T00:00:00Z",
        "minimum_cents": 2.5,
        "cap_cents": "5.00",
    },
]


async def upload(gateway: Any, body: Any, query: str = "", type: str = "application/json") -> Any:
    return await gateway.call("POST", BULK + query, body, ADMIN, Content_Type=type)


async def test_csv_and_json_say_the_same(gateway: Any) -> None:
    """The CSV's rows are added; the same as JSON changes nothing."""
    made = await upload(gateway, CSV_LIST, type="text/csv; charset=utf-8")
    assert made.status == 201, made.text
    assert (made.json["preview"], made.json["added"], made.json["changed"]) == (False, 2, 0)
    assert made.json["rows"][0]["new"]["rates"] == {
        "images": {"rate": 1.5, "per": 1},
        "input": {"rate": 250, "per": 1000000},
    }
    again = await upload(gateway, {"rows": ROWS})
    assert (again.status, again.json["unchanged"]) == (200, 2)
    assert [row["id"] for row in again.json["rows"]] == [row["id"] for row in made.json["rows"]]


async def test_a_preview_says_what_the_upload_then_does_and_records_nothing(gateway: Any) -> None:
    """The same rows and kinds of change, without ids."""
    rows = [*ROWS, {"action_type": "search", "base_rate_cents": 9}]
    before, listed = len(gateway.log.values()), (await gateway.call("GET", PRICES, None, ADMIN)).json
    preview = await upload(gateway, {"rows": rows}, "?preview=true")
    assert (preview.status, preview.json["preview"]) == (200, True)
    assert len(gateway.log.values()) == before
    assert (await gateway.call("GET", PRICES, None, ADMIN)).json == listed
    assert [row["change"] for row in preview.json["rows"]] == ["added", "added", "changed"]
    assert preview.json["rows"][2]["old"]["base_rate_cents"] == Decimal("0.25")
    made = (await upload(gateway, {"rows": rows}, "?preview=false")).json
    without = [{name: value for name, value in row.items() if name != "id"} for row in made["rows"]]
    assert without == preview.json["rows"]


@pytest.mark.parametrize(
    "body, says",
    [
        ({}, "rows is required"),
        ({"rows": []}, "rows must be 1 to 1000 price rows"),
        ({"rows": [{"action_type": "a"}] * 1001}, "rows must be 1 to 1000 price rows"),
        ({"rows": [{"action_type": "a"}, {"model": "m"}]}, "rows[1]: action_type is required"),
        ({"rows": [{"action_type": "a", "base_rate_cents": -1}]}, "rows[0]: base_rate_cents must"),
        (
            {"rows": [{"action_type": "a", "rates": {"x": {"rate": 1, "per": 3}}}]},
            "rows[0]: rates.x must have at most 12",
        ),
        ({"rows": [{"action_type": "a", "rats": {}}]}, "rows[0]: unknown field 'rats'"),
        ({"rows": [{"action_type": "a"}, {"action_type": "a", "model": "*"}]}, "rows[1] must differ from rows[0]"),
        (
            {"rows": [{"action_type": "a", "effective_at": "2026-04-26T11:00:00Z"}]},
            "rows[0]: effective_at must be in the",
        ),
        ({"rows": [5]}, "rows[0]: it must be a JSON object"),
        (b"action_type,colour\na,b\n", "unknown column 'colour'"),
        (b"action_type,action_type\na,b\n", "column action_type is given twice"),
        (b"action_type,rates.input\na,1/x\n", "rows[0].rates.input must be a rate"),
        (b"action_type,rates.input\na,1/3\n", "rows[0]: rates.input must have at most 12 decimals"),
        (b"action_type,ignore_unknown\na,yes\n", "rows[0].ignore_unknown must be true or false"),
        (b"action_type,model\na\n", "rows[0] must have 2 cells"),
        (b'action_type\n"a\n', "the body is not valid CSV"),
        (b"action_type\n\xff\n", "the body is not valid UTF-8"),
        (b"action_type\n", "rows must be 1 to 1000"),
        (b"\n", "the body is empty"),
    ],
)
async def test_a_wrong_list_is_refused_and_recorded_nowhere(gateway: Any, body: Any, says: str) -> None:
    """400 naming the row and the field, with and without a preview."""
    before = len(gateway.log.values())
    for query in ("", "?preview=true"):
        answer = await upload(gateway, body, query, "text/csv" if isinstance(body, bytes) else "application/json")
        assert answer.status == 400 and answer.json["error"].startswith(says), answer.text
    assert len(gateway.log.values()) == before


async def test_all_wrong_rows_are_named(gateway: Any) -> None:
    """One error for each, by index; an unknown media type and an unknown preview are refused."""
    rows = [{"action_type": "a"}, {}, {"action_type": "outcome_charge"}]
    answer = await upload(gateway, {"rows": rows})
    assert [one["index"] for one in answer.json["errors"]] == [1, 2]
    assert (await upload(gateway, json.dumps({"rows": rows}).encode(), type="text/plain")).status == 415
    assert (await upload(gateway, {"rows": rows}, "?preview=1")).status == 400
    assert (await gateway.call("POST", BULK, {"rows": rows})).status == 401
