"""The examples of docs/reference.md, in curl, Python and JavaScript, against a running stack: each succeeds.

They are what the page shows but for ids, which are those of things that were made for the one call.
"""

import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError

import pytest

from schemas.limits import HOUR
from schemas.objects import iso
from tests.integration.collector.closed_months import closed_month
from tests.integration.sdk.here import Here, running
from tools import api_reference
from tools.api_examples import ADMIN, EVENT, LATER, SAMPLES

pytestmark = pytest.mark.integration
RUN = {
    "sh": ["bash", "-euc"],
    "python": [sys.executable, "-c"],
    "js": ["node", "--input-type=module", "-e"],
}
CURL = """
curl() {
  local said
  said=$(command curl --fail-with-body -S "$@") || { echo "$*: $said" >&2; exit 1; }
  echo "$said"
}
"""
"""In a script an error must end it; on the page it is shown."""


class Fresh(dict[str, str]):
    """The ids of a call: each is of something that is made when the call asks for it."""

    def __init__(self, here: Here, customer: str, key: str, number: int) -> None:
        now = datetime.now(UTC)
        recently = iso(int(now.timestamp()) * 1000 - HOUR)
        super().__init__(customer=customer, new=str(number), month=f"{now:%Y-%m}", recently=recently)
        self["closed_month"] = closed_month()
        self._here, self._key = here, key

    def __missing__(self, name: str) -> str:
        made: dict[str, Callable[[], Any]] = {
            "event": lambda: self._call("/v1/meter", EVENT)["event_id"],
            "import": lambda: self._import(),
            "task": lambda: self._outcome()["task_id"],
            "outcome": lambda: self._outcome()["outcome_id"],
            "charged": lambda: self._call(f"/v1/outcomes/{self['task']}/resolve", {"success": True})["outcome_id"],
            "webhook": lambda: self._call("/v1/webhooks", {"url": "https://example.com/", "events": ["*"]})["id"],
            "reservation": lambda: self._call("/v1/reservations", {"amount_cents": 5})["reservation_id"],
            "api_key": lambda: self._admin("/api-keys", {})["id"],
            "price": lambda: self._admin("/pricing", {"action_type": f"ends-{self['new']}"})["id"],
            "budget": lambda: self._admin(
                "/budgets", {"scope": "all", "period": "month", "limit_cents": 10**9, "hard": False}
            )["id"],
        }
        self[name] = str(made[name]())
        return self[name]

    def _outcome(self) -> Any:
        task = {"task_id": f"made-{self['new']}", "agent_id": "a", "price_on_success": 1, "expires_at": LATER}
        return self._call("/v1/outcomes", task)

    def _import(self) -> str:
        name = f"made-{self['new']}"
        self._call("/v1/meter/batch", {"import_id": name, "events": [EVENT]})
        return name

    def _call(self, path: str, body: Any) -> Any:
        return self._here.post(path, body, self._key)

    def _admin(self, path: str, body: dict[str, Any]) -> Any:
        return self._here.post(ADMIN + path, {"customer_id": self["customer"], **body})


@pytest.mark.parametrize("language", RUN)
async def test_every_example_of_the_reference_succeeds(here: Here, eventually: Any, language: str) -> None:
    if shutil.which(RUN[language][0]) is None:
        pytest.skip(f"not run: {RUN[language][0]} is absent")
    customer = f"reference-{language}"
    key = here.key(customer)
    known = list(api_reference.operations(api_reference.described()))
    lines = []
    for number, (scheme, method, path, _) in enumerate(known):
        values = Fresh(here, customer, key, number)
        if made := api_reference.examples(method, path, scheme, values):
            lines.append(made[language])
            if "import" in values:
                await eventually(lambda values=values: _is_there(here, f"/v1/imports/{values['import']}", key))
            if path.startswith(f"{ADMIN}/events") and "event" in values:
                await eventually(lambda values=values: _is_there(here, f"/v1/events/{values['event']}", key))
    start = CURL if language == "sh" else api_reference.STARTS[language]
    with running([*RUN[language], start + "\n".join(lines)], REV=here.url, KEY=key, TOKEN=here.token) as program:
        answers = program.rest()
    assert len(answers) >= len(lines) > 60
    if language == "sh":
        assert all(isinstance(json.loads(answer), dict) for answer in answers)


async def _is_there(here: Here, path: str, key: str) -> bool:
    try:
        return bool(here.get(path, key))
    except HTTPError as error:
        assert error.code == 404
        return False


def test_the_page_shows_what_runs() -> None:
    """With the ids of the page; so the test above runs what is shown."""
    page = (api_reference.page()).split("```")
    for scheme, method, path, _ in api_reference.operations(api_reference.described()):
        for language, text in api_reference.examples(method, path, scheme, SAMPLES).items():
            assert f"{language}\n{text}\n" in page
