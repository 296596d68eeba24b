"""The default prices in force, as the gateway applies them. Asked of it at most every two seconds."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote

from schemas.money import rate_from_decimal
from web.gateway_api import GatewayApi

KEPT = 2000
"""ms for which an answer is used again, so that visitors cost the gateway nothing."""
PATH = "/api/admin/pricing?limit=1000"


class PriceLine(NamedTuple):
    """The default price of an action, in pico-cents. ``quantities``: True if it has rates for quantities, too."""

    action: str
    base: int
    token: int
    bonus: int
    quantities: bool = False


class DefaultPrices:
    """``clock`` returns ms."""

    def __init__(self, api: GatewayApi, clock: Callable[[], int]) -> None:
        self._api = api
        self._clock = clock
        self._kept: list[PriceLine] = []
        self._until = 0

    async def lines(self) -> list[PriceLine]:
        """Return the default prices for any model and provider, the oldest first. Raises Refusal."""
        now = self._clock()
        if now >= self._until:
            self._kept = [_line(row) for row in sorted(await self._rows(), key=lambda row: int(row["id"]))]
            self._until = now + KEPT
        return self._kept

    async def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        path = PATH
        while True:
            answer = await self._api.call("GET", path)
            rows += [row for row in answer["configs"] if _is_default(row)]
            if answer["next_cursor"] is None:
                return rows
            path = f"{PATH}&cursor={quote(answer['next_cursor'], safe='')}"


def _is_default(row: dict[str, Any]) -> bool:
    return row["customer_id"] is None and row.get("model") is None and row.get("provider") is None


def _line(row: dict[str, Any]) -> PriceLine:
    base, token, bonus = (
        rate_from_decimal(Decimal(row[name])) for name in ("base_rate_cents", "token_rate_cents", "outcome_bonus_cents")
    )
    return PriceLine(row["action_type"], base, token, bonus, bool(row.get("rates")))
