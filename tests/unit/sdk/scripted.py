"""What the tests of revgrid drive it with: answers by a script, and a clock that its pauses move."""

import json
import random
from collections.abc import Sequence
from typing import Any

from revgrid.calls import Call
from revgrid.exchange import Came, Failure, Send, Settings, exchange
from revgrid.reading import Answer

METERED = {
    "event_id": 42,
    "price": {
        "total_cents": 1.47,
        "breakdown": {"base_rate_cents": 0.5, "token_charge_cents": 0.72, "outcome_bonus_cents": 0.25},
        "config": {
            "action_type": "completion",
            "base_rate_cents": 0.5,
            "token_rate_cents": 0.0003,
            "outcome_bonus_cents": 0.25,
            "is_default": True,
        },
    },
    "price_charged": 0.0147,
    "price_breakdown": {"base": 0.005, "tokens": 0.0072, "outcome": 0.0025},
    "currency": "usd",
    "outcome_id": None,
    "event": {
        "customer_id": "acme-corp",
        "agent_id": "agent-copilot",
        "action": "completion",
        "tokens": 2400,
        "tokens_input": None,
        "tokens_output": None,
        "outcome": "success",
    },
    "created_at": "2026-04-26T12:00:00.000Z",
}


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    """``body``: bytes as they are, or a value made JSON. Names of headers have _ for -."""
    text = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    return Answer(status, {name.lower().replace("_", "-"): value for name, value in headers.items()}, text)


def refused(status: int, code: str = "some_code", **headers: str) -> Answer:
    return answer(status, {"error": "no", "code": code, "request_id": "r-1"}, **headers)


BROKEN = Failure(ConnectionResetError("reset"), sent=True)
NEVER_THERE = Failure(ConnectionRefusedError("refused"), sent=False)
DISTRUSTED = Failure(OSError("certificate"), sent=False, final=True)


class Wire:
    """Answers by the script, then by its last line for ever; keeps what was sent, and when."""

    def __init__(self, *script: Came, takes: float = 0.0) -> None:
        self._script, self._takes = list(script), takes
        self.sent: list[Send] = []
        self.now = 0.0
        self.keys = 0

    def __call__(self, send: Send) -> Came:
        self.sent.append(send)
        self.now += self._takes
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def new_key(self) -> str:
        self.keys += 1
        return f"made-{self.keys}"

    @property
    def sent_keys(self) -> list[str | None]:
        return [send.headers.get("Idempotency-Key") for send in self.sent]

    @property
    def pauses(self) -> Sequence[float]:
        return [send.after for send in self.sent[1:]]

    def settings(self, retry_for: float = 30.0) -> Settings:
        return Settings(
            {"Authorization": "Bearer rg_x"}, 10.0, retry_for, lambda: self.now, random.Random(1), self.new_key
        )

    def run(self, call: Call[Any], retry_for: float = 30.0) -> Any:
        """The result of a call, driven as the clients do."""
        tries = exchange(call, self.settings(retry_for))
        send = next(tries)
        try:
            while True:
                self.sleep(send.after)
                send = tries.send(self(send))
        except StopIteration as end:
            return end.value
