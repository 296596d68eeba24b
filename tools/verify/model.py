"""Derives from one shard's log what the ledger must hold. Pure except for the keys it remembers.

Rules (docs/verify.md): accepted time is the append time made monotone; a command's events are charged all
or none; a key that was charged within the command's window is answered again or, with another body, refuses
the command; nothing of a refusal is remembered.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from schemas.labels import LABELS
from tools.verify import anchor_model, endpoint_model
from tools.verify.amounts import amounts, are_exact, capped
from tools.verify.anchor_model import AnchorModels
from tools.verify.config_model import CONFIG_KEY, Configuration
from tools.verify.key_model import Keys, Known, body_of
from tools.verify.ledger_amounts import as_charged, as_held
from tools.verify.lifecycle import COMMANDS, RESERVED, Effect, Lifecycle, nothing
from tools.verify.month_model import MonthModels, MonthTrial, key_of, quantities_in
from tools.verify.outcome_model import OutcomeModels
from tools.verify.price_model import PriceModel, PriceModels, slot_of
from tools.verify.reservation_model import MAX_TTL
from tools.verify.row_values import EMPTY, EXACT, STEPPED, ZERO, Row, add, canonical, event_id, loads, quantities_of
from tools.verify.spending_model import COMMANDS as SPENDING_COMMANDS
from tools.verify.spending_model import SpendingModels, SpendingOption, SpendingTrial, amount_of
from tools.verify.tier_model import CountKey, MonthModel, Part, cut
from tools.verify.unpriced_model import MAX_CHARGED, NOTHING, UnpricedModels, adjusted, waits

MAX_TOKENS = 10**12
MAX_EVENTS = 1000
PRICE_KEY = b"_price"
CONFIGURE = {"genesis", "key.create", "key.revoke", "price.set", "price.list", "price.delete"}
CONFIGURE |= {"customer.update", "customer.ensure"}
CONFIGURE |= {f"webhook.{name}" for name in endpoint_model.COMMANDS}


COUNTS = "counts"
"""Key set in a charge's row until it is counted: what MonthTrial.add takes."""
UNPRICED = "unpriced"
"""Key set in the row of an event without a price until it waits for one: the event."""


class ExpectedRows(NamedTuple):
    """Rows that one record of the log must have left. ``options``: any of them is right; there are several
    only if the result depends on what is older than the log. Then the option that matches has its effect on
    later records when its function in ``effects`` (one for each option) is called. None: nothing is known.
    ``asked``: an amount depends on what is older than the log, and later records on that amount. Then nothing
    has had an effect yet, and it returns what the record must have left, given the ledger's rows of it."""

    offset: int
    at: int
    options: tuple[list[Row], ...] | None
    events: int = 0
    problem: str = ""
    """Error in the log itself."""
    effects: tuple[Effect, ...] = ()
    asked: "Callable[[list[Row]], ExpectedRows] | None" = None


class _Charge(NamedTuple):
    row: Row
    key: str | None
    body: bytes


class ShardModel:
    """Model of one partition. Records are applied in the order of their offsets."""

    def __init__(
        self,
        partition: int,
        keys: Keys,
        outcomes: OutcomeModels,
        price_models: PriceModels,
        configuration: Configuration,
        began: int = 0,
        spending: SpendingModels | None = None,
        anchors: AnchorModels | None = None,
    ) -> None:
        self.partition, self._keys, self._price_models, self._configuration = (
            partition,
            keys,
            price_models,
            configuration,
        )
        self._spending = SpendingModels(partition) if spending is None else spending
        self._anchors = AnchorModels() if anchors is None else anchors
        self._open_months = MonthModels(self._anchors, began)
        self._unpriced = UnpricedModels()
        self._lifecycle = Lifecycle(partition, keys, outcomes, self._spending, self._open_months, self._unpriced)
        self._months = MonthModel(began)
        self._counted: dict[CountKey, Decimal] = {}
        """What the events of the current command have added to the month's counts."""
        self._at = began
        self._last_notice = None if began else 0
        """The number of the last notice of an invoice; None: that is older than the log."""

    def apply(self, offset: int, timestamp: int, key: bytes, value: bytes) -> ExpectedRows:
        """Return the rows that a record must have left; ``timestamp`` is its append time in ms."""
        self._at = max(self._at, timestamp)
        self._unpriced.began_at(offset)
        try:
            command = loads(value)
            name = command["command"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return ExpectedRows(offset, self._at, ([],), problem="no command")
        if name == "meter":
            return self._meter(offset, key, command)
        if name == "reservation.create":
            return self._reserve(offset, key, command)
        if name in COMMANDS or name in SPENDING_COMMANDS:
            return self._outcome(offset, key, command)
        if name in anchor_model.COMMANDS:
            return self._anchor(offset, key, command)
        if name == "month.close":
            return self._close(offset, key, command)
        if name == "unpriced.charge":
            return self._charge_unpriced(offset, key, command)
        if name == "invoice.notice":
            return self._notice(offset, key, command)
        if name in ("price", "prices"):
            return self._install(offset, key, command.get("prices", [command]))
        if name == endpoint_model.REPLAY and key == command["customer_id"].encode():
            return self._expected(offset, [{**self._plain(offset, key, "config"), **endpoint_model.replayed(command)}])
        if name in CONFIGURE:
            if key != CONFIG_KEY or not self._configuration.is_home(self.partition):
                return self._expected(offset, [self._plain(offset, key, "rejected")])
            rows = self._configuration.apply(command, self._at)
            base = self._plain(offset, key, "config")
            rows = None if rows is None else [{**base, **row, **self._index(offset, i)} for i, row in enumerate(rows)]
            return self._expected(offset, rows)
        return ExpectedRows(offset, self._at, ([],), problem=f"unknown command {name!r}")

    def _expected(self, offset: int, rows: list[Row] | None, events: int = 0) -> ExpectedRows:
        return ExpectedRows(offset, self._at, None if rows is None else (rows,), events)

    def _outcome(self, offset: int, key: bytes, command: Mapping[str, Any]) -> ExpectedRows:
        model = self._spending if command["command"] in SPENDING_COMMANDS else self._lifecycle
        if key != command["customer_id"].encode():
            return self._expected(offset, model.misplaced(offset, self._at, command))
        options = model.apply(offset, self._at, command)
        if len(options) == 1:
            options[0].effect()
        rows = tuple(option.rows for option in options)
        return ExpectedRows(offset, self._at, rows, effects=tuple(option.effect for option in options))

    def _anchor(self, offset: int, key: bytes, command: Mapping[str, Any]) -> ExpectedRows:
        """Return the row of a change of a billing anchor."""
        row = self._anchors.row((self.partition, offset), self._at, command, key)
        return self._expected(offset, [] if row is None else [row])

    def _close(self, offset: int, key: bytes, command: Mapping[str, Any]) -> ExpectedRows:
        """Return the adjustment of a month that is over; nothing is known of one that is older than the log."""
        if key != command["customer_id"].encode():
            return self._expected(offset, [])
        period = self._open_months.closing(command)
        if period is None:
            return self._expected(offset, [])
        if not self._open_months.is_known(period):
            if self._at >= period.end:
                self._open_months.follow(key_of(command), period.end, self._price_models)
            if not self._spending.is_limited(command["customer_id"], command.get("test", False)):
                return self._expected(offset, None)
            return ExpectedRows(offset, self._at, None, asked=partial(self._adjusted, offset))
        columns = self._open_months.close(self._at, period, command, self._price_models)
        if columns is None:
            return self._expected(offset, [])
        price_model = columns.pop("price")
        row = {**self._plain(offset, key, "adjustment"), "test": command.get("test", False), **columns}
        row |= _priced_by(price_model._replace(base=_base(price_model)))
        row["detail"] = {**row["detail"], "event_id": row["event_id"]}
        self._spending.adjust(row)
        return self._expected(offset, [row])

    def _charge_unpriced(self, offset: int, key: bytes, command: Mapping[str, Any]) -> ExpectedRows:
        """Return the adjustments of events that have a price now; nothing is known of those older than the log."""
        if key != command["customer_id"].encode() or not 1 <= len(command["event_ids"]) <= MAX_CHARGED:
            return self._expected(offset, [])
        if not all(map(self._unpriced.is_known, command["event_ids"])):
            return self._expected(offset, None)
        rows: list[Row] = []
        self._counted = {}
        months = self._open_months.trial()
        for id, one in list(self._unpriced.named(command)):
            charged = self._charge(offset, len(rows), command, one.event, months)
            if charged is None:
                continue
            counts = charged.pop(COUNTS, None)
            if counts is not None:
                month_key, price_model, own = counts
                months.add(month_key, price_model, own, charged["total_cents"])
            row = adjusted(charged, id, one)
            self._spending.adjust(row)
            if row["credit_cents"] is not None:
                left = EXACT.subtract(row["total_cents"], row["credit_cents"])
                row["detail"] |= {"credit_cents": row["credit_cents"], "due_cents": left}
            self._unpriced.remove(id)
            rows.append(row)
        months.keep()
        self._months.add(self._anchors.period(command["customer_id"], self._at), self._counted)
        unsure = any(row.pop(STEPPED, False) for row in rows)
        return self._expected(offset, None if unsure else rows)

    def _notice(self, offset: int, key: bytes, command: Mapping[str, Any]) -> ExpectedRows:
        """Return what a notice of an invoice leaves: a row, unless it is a repeat."""
        if key != command["customer_id"].encode():
            return self._expected(offset, [self._plain(offset, key, "rejected")])
        number = command["number"]
        said = {"config_type": command["type"], "actor": "collector", "detail": command["detail"]}
        rows = [{**self._plain(offset, key, "config"), **said}]
        if self._last_notice is None:
            effects = (partial(self._noticed, number), nothing)
            return ExpectedRows(offset, self._at, (rows, []), effects=effects)
        if number <= self._last_notice:
            return self._expected(offset, [])
        self._noticed(number)
        return self._expected(offset, rows)

    def _noticed(self, number: int) -> None:
        self._last_notice = number

    def _adjusted(self, offset: int, found: list[Row]) -> ExpectedRows:
        """Let the adjustment of an unknown month draw from credit what the ledger says. Nothing else is known of it."""
        for row in found:
            self._spending.credit((row["customer_id"], row["test"])).take(row["draws"])
        return self._expected(offset, None)

    def _install(self, offset: int, key: bytes, records: list[Mapping[str, Any]]) -> ExpectedRows:
        if key != PRICE_KEY:
            return self._expected(offset, [self._plain(offset, key, "rejected")])
        problems = []
        for record in records:
            last, slot = self._price_models.number, slot_of(record)
            owed = self._price_models.owes(slot)
            if self._price_models.install(record, offset, self._at):
                if owed or self._price_models.owes(slot):
                    self._open_months.changed(slot, self._at)
                problems.append(self._configuration.check_install(record, self.partition, last))
        return ExpectedRows(offset, self._at, ([],), problem="; ".join(filter(None, problems)))

    def _plain(self, offset: int, key: bytes, kind: str) -> Row:
        """Return a row of a command that no customer sent."""
        row = {**EMPTY, **self._index(offset, 0), "kind": kind, "customer_id": key.decode(errors="replace")}
        return {**row, "event_time": self._at, "recorded_at": self._at}

    def _index(self, offset: int, index: int) -> Row:
        return {
            "event_id": event_id(self.partition, offset, index),
            "raw_partition": self.partition,
            "raw_offset": offset,
            "raw_index": index,
        }

    def _meter(
        self, offset: int, key: bytes, command: Mapping[str, Any], found: list[Row] | None = None
    ) -> ExpectedRows:
        """Return the rows of a meter command; ``found``: the ledger's, once they were asked for."""
        events = command["events"]
        sane = 1 <= len(events) <= (MAX_EVENTS if command.get("batch") else 1)
        if not sane or key != command["customer_id"].encode():
            return self._expected(offset, self._refused(offset, command), len(events))
        charges: list[_Charge] = []
        self._counted = {}
        within: dict[str, bytes] = {}
        refused, unsure = False, False
        trial = self._spending.trial(command["customer_id"], command.get("test", False))
        months = self._open_months.trial()
        for index, event in enumerate(events):
            name, body = event.get("idempotency_key"), b""
            if name is not None:
                body = body_of(canonical({k: v for k, v in event.items() if k != "idempotency_key"}))
                known = within.get(name, self._find_key(command, name))
                if known is not None:
                    unsure = unsure or known == b""
                    refused = refused or known not in (b"", body)
                    continue
            charge = self._charge(offset, index, command, event, months)
            settles = event.get("reservation_id")
            if charge is not None and STEPPED in charge and (settles or self._is_limited(command)):
                if found is None:
                    asked = partial(self._meter, offset, key, command)
                    return ExpectedRows(offset, self._at, None, len(events), asked=asked)
                # whether there was room for it depends on its amount
                refused = refused or any(row["kind"] == "rejected" for row in found)
                charge = as_charged(charge, found)
            if charge is None or not trial.charge(charge, command.get("on_empty", "charge"), settles):
                refused = True
                continue
            counts = charge.pop(COUNTS, None)
            if counts is not None:
                month_key, price_model, own = counts
                months.add(month_key, price_model, own, charge["total_cents"])
            charges.append(_Charge(charge, name, body))
            if name is not None:
                within[name] = body
        if refused:
            return self._expected(offset, self._refused(offset, command), len(events))
        rows = [charge.row for charge in charges]
        if rows:
            rows += trial.notices(rows[-1], len(events))
        charged = partial(self._charged, self._at, command, charges, trial=trial, months=months, counted=self._counted)
        if unsure:
            options = (rows, self._refused(offset, command))
            return ExpectedRows(offset, self._at, options, len(events), effects=(charged, nothing))
        charged()
        return self._expected(offset, rows, len(events))

    def _is_limited(self, command: Mapping[str, Any]) -> bool:
        """True if what an event costs matters to more than its own row."""
        if command.get("on_empty", "charge") != "charge":
            return True
        return self._spending.is_limited(command["customer_id"], command.get("test", False))

    def _reserve(
        self, offset: int, key: bytes, command: Mapping[str, Any], found: list[Row] | None = None
    ) -> ExpectedRows:
        """Return what a new reservation leaves: of an amount, or of what its estimate would cost. ``found``: the
        ledger's rows, once they were asked for."""
        if key != command["customer_id"].encode():
            return self._expected(offset, self._spending.misplaced(offset, self._at, command))
        name, body = command.get("idempotency_key"), b""
        options: list[SpendingOption] = []
        refused = self._spending.reserving(offset, self._at, command, None, {})
        if name is not None:
            counts = ("command", "amount", "ttl", "event", "estimate")
            body = body_of(canonical({field: command.get(field) for field in counts}))
            known = self._find_key(command, name)
            if known is not None:
                options += [SpendingOption([], nothing)] if known in (b"", body) else []
                options += [refused] if known != body else []
        if not options:
            amount, priced_by = self._reserved_amount(offset, command)
            if STEPPED in priced_by:
                if found is None:
                    return ExpectedRows(offset, self._at, None, asked=partial(self._reserve, offset, key, command))
                amount, priced_by = as_held(amount, priced_by, found)
            made = self._spending.reserving(offset, self._at, command, amount, priced_by)
            known_now = Known(body, self._at)

            def effect() -> None:
                made.effect()
                if name is not None and made.rows[0]["kind"] == "config":
                    self._keys.add(command["customer_id"], name, known_now, command.get("test", False))

            options = [SpendingOption(made.rows, effect)]
        if len(options) == 1:
            options[0].effect()
        rows = tuple(option.rows for option in options)
        return ExpectedRows(offset, self._at, rows, effects=tuple(option.effect for option in options))

    def _reserved_amount(self, offset: int, command: Mapping[str, Any]) -> tuple[Decimal | None, Row]:
        """Return what a reservation is to hold, None if the command does not say it as it must; and the columns of the
        price that says so, with STEPPED if the amount depends on what is older than the log."""
        text, estimate = command.get("amount"), command.get("estimate")
        if (text is None) == (estimate is None) or not 0 < command["ttl"] <= MAX_TTL:
            return None, {}
        if estimate is None:
            return amount_of(str(text)), {}
        self._counted = {}
        months = self._open_months.trial()
        row = self._charge(offset, 0, {**command, "outcome_ttl": command["ttl"]}, estimate, months)
        if row is None:
            return None, {}
        return row["total_cents"], {
            name: value for name, value in row.items() if name.startswith("price_") or name == STEPPED
        }

    def _find_key(self, command: Mapping[str, Any], name: str) -> bytes | None:
        known = self._keys.find(command["customer_id"], name, command.get("mode"))
        return known.body if known is not None and self._at - known.at < command["idempotency_window"] else None

    def _charged(
        self,
        at: int,
        command: Mapping[str, Any],
        charges: list[_Charge],
        trial: SpendingTrial,
        months: MonthTrial,
        counted: Mapping[CountKey, Decimal],
    ) -> None:
        trial.keep()
        months.keep()
        self._months.add(self._anchors.period(command["customer_id"], at), counted)
        for charge in charges:
            event = charge.row.pop(UNPRICED, None)
            if event is not None:
                self._unpriced.add(charge.row, event)
            if charge.key is not None:
                known = Known(charge.body, at)
                self._keys.add(command["customer_id"], charge.key, known, charge.row["test"])
            if charge.row["outcome"] == "pending":
                self._lifecycle.opened(charge.row, {})

    def _charge(
        self, offset: int, index: int, command: Mapping[str, Any], event: Mapping[str, Any], months: MonthTrial
    ) -> Row | None:
        """Return the row of an event that is charged; None if it is refused."""
        labels = (event.get("model") or "", event.get("provider") or "")
        price_model = self._price_models.of(self._at, command["customer_id"], event["action"], *labels)
        tokens, outcome = event.get("tokens", 0), event.get("outcome")
        if event["action"] == RESERVED or not 0 <= tokens <= MAX_TOKENS:
            return None
        if price_model is None:
            return self._without_price(offset, index, command, event) if waits(command, event) else None
        period = self._anchors.period(command["customer_id"], self._at)
        known = not price_model.tiers or self._months.is_known(period)
        known = known and (price_model.cap is None or self._open_months.is_known(period))
        key = (command["customer_id"], command.get("test", False), period.name, price_model.slot)
        counted, parts = self._cut(price_model, command, event)
        if "event" in parts:
            ((_, rate, per),) = parts.pop("event")
            price_model = price_model._replace(base=EXACT.divide(rate, Decimal(per)))
        cost = amounts(price_model, event, parts)
        if cost is None or not are_exact(price_model.volume, event):
            return None
        left = months.left(key, price_model)
        if left is not None and cost["total_cents"] > left:
            cost = capped(cost, EXACT.subtract(cost["total_cents"], left), event, price_model)
        row = self._event_row("event", offset, index, command, event)
        if not known:
            row[STEPPED] = True
        if outcome == "pending":
            row["expires_at"] = event.get("expires_at")
            if row["expires_at"] is None:
                row["expires_at"] = self._at + command["outcome_ttl"]
            elif row["expires_at"] <= self._at:
                return None
            row["outcome_id"] = f"oc_{row['event_id']}"
        row.update(cost)
        row.update(_priced_by(price_model))
        if price_model.is_monthly or months.is_open(key):
            row[COUNTS] = (key, price_model, quantities_in(event))
        for count_key, quantity in counted.items():
            self._counted[count_key] = add(self._counted.get(count_key, ZERO), quantity)
        return row

    def _without_price(self, offset: int, index: int, command: Mapping[str, Any], event: Mapping[str, Any]) -> Row:
        """Return the row of an event that is recorded at 0 until a price charges it."""
        plain = {name: value for name, value in event.items() if name not in ("idempotency_key", "metadata")}
        return {**self._event_row("event", offset, index, command, event), **NOTHING, UNPRICED: plain}

    def _cut(
        self, price_model: PriceModel, command: Mapping[str, Any], event: Mapping[str, Any]
    ) -> tuple[dict[CountKey, Decimal], dict[str, list[Part]]]:
        """Return what an event adds to the month's counts, and the parts in which its quantities are charged."""
        counted: dict[CountKey, Decimal] = {}
        parts: dict[str, list[Part]] = {}
        if price_model.tiers:
            own = {"event": Decimal(1), **{name: Decimal(text) for name, text in event.get("quantities", {}).items()}}
            own |= {kind: Decimal(event[f"tokens_{kind}"]) for kind in ("input", "output") if f"tokens_{kind}" in event}
            for name, steps in price_model.tiers:
                if name in own:
                    key = (command["customer_id"], command.get("test", False), price_model.slot, name)
                    counted[key] = own[name]
                    period = self._anchors.period(command["customer_id"], self._at)
                    parts[name] = cut(steps, self._months.used(key, period, self._counted), own[name])
        for name, steps in price_model.volume:
            own = quantities_in(event)
            if name in own:
                parts[name] = [(own[name], *steps[0][1:])]
        return counted, parts

    def _refused(self, offset: int, command: Mapping[str, Any]) -> list[Row]:
        return [self._event_row("rejected", offset, i, command, event) for i, event in enumerate(command["events"])]

    def _event_row(
        self, kind: str, offset: int, index: int, command: Mapping[str, Any], event: Mapping[str, Any]
    ) -> Row:
        texts = (
            "agent_id", "action", "outcome", *LABELS, "on_expiry", "idempotency_key",
        )  # fmt: skip
        return {
            **EMPTY,
            **self._index(offset, index),
            **{name: event.get(name) or "" for name in texts},
            "kind": kind,
            "customer_id": command["customer_id"],
            "api_key_id": command["api_key_id"],
            "test": command.get("test", False),
            "import_id": command.get("import_id") or "",
            "tokens": event.get("tokens", 0),
            "tokens_input": event.get("tokens_input"),
            "tokens_output": event.get("tokens_output"),
            "quantities": quantities_of(event),
            "metadata": canonical(event["metadata"]) if "metadata" in event else "",
            "expires_at": event.get("expires_at"),
            "event_time": self._at if event.get("event_time") is None else event["event_time"],
            "recorded_at": self._at,
        }


def _base(price_model: PriceModel) -> Decimal:
    """Return the base in the price record of an adjustment: the first of volume steps of the count of events, else that
    of the price."""
    first = next((steps[0] for name, steps in price_model.volume if name == "event"), None)
    if first is not None:
        return EXACT.divide(first[1], Decimal(first[2]))
    return ZERO if any(name == "event" for name, _ in price_model.tiers) else price_model.base


def _priced_by(price_model: PriceModel) -> Row:
    return {
        "price_id": price_model.id,
        "price_action": price_model.action,
        "price_model": price_model.model,
        "price_provider": price_model.provider,
        "price_rates": price_model.rates,
        "price_ignore_unknown": price_model.ignore_unknown,
        "price_base": price_model.base,
        "price_token": price_model.token,
        "price_bonus": price_model.bonus,
        "price_is_default": price_model.customer is None,
        "price_offset": price_model.offset,
    }
