"""The collector's HTTP interface of Stripe, for gateways: pushes, reconciliation, and what Stripe reports."""

from collections.abc import Callable

import msgspec
import structlog
from aiohttp import web

from collector import metrics
from collector.book import Change
from collector.invoice_api import guarded, json_response, refusal
from collector.invoicing import Refused
from collector.stripe import requests, webhook
from collector.stripe.calls import StripeAway, StripeRefuses
from collector.stripe.dropped_events import DroppedEvents, MeterReport, dropped
from collector.stripe.meter_reconciling import compared_usage
from collector.stripe.modes import StripeMode
from collector.stripe.pusher import retried
from collector.stripe.reconciling import reconciled, with_usage
from collector.worker import InvoiceWorker
from schemas.invoice_objects import MonthRequest, PushList, ReportTaken, StripeReport, push_shown
from schemas.invoices import push_key
from schemas.pushes import Push
from schemas.settings import Settings
from warehouse.invoice_sums import CollectorReads

SHOWN = 1000
"""Pushes that a list names; those that Stripe refuses come first."""
_report = msgspec.json.Decoder(StripeReport)
_month = msgspec.json.Decoder(MonthRequest)
log = structlog.get_logger("collector.stripe")


class StripeApi:
    """The handlers. ``worker`` returns the owner of rev.invoices; it raises NotOwner if that is not this process."""

    def __init__(
        self,
        settings: Settings,
        worker: Callable[[], InvoiceWorker],
        now: Callable[[], int],
        mode: StripeMode,
        reads: CollectorReads,
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._now = now
        self._mode = mode
        self._reads = reads

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/stripe/pushes", guarded(self._settings, self._pushes)),
            web.post("/invoices/{number}/push", guarded(self._settings, self._push)),
            web.post("/stripe/reconcile", guarded(self._settings, self._reconcile)),
            web.post("/stripe/report", guarded(self._settings, self._take)),
        ]

    async def _pushes(self, request: web.Request) -> web.Response:
        book = self._worker().book
        is_on = self._mode.sender is not None
        numbers = [*sorted(book.refused), *sorted(book.unsent)] if is_on else []
        shown = []
        for number in numbers[:SHOWN]:
            invoice = book.numbered(number)
            if invoice is not None:
                push = book.push_of(number) or Push(number, "pending", 0, self._now(), 0)
                shown.append(push_shown(invoice.customer_id, push))
        counts = (len(book.unsent), len(book.refused)) if is_on else (0, 0)
        return json_response(PushList(shown, self._mode.name, *counts))

    async def _push(self, request: web.Request) -> web.Response:
        worker, number = self._worker(), request.match_info["number"]
        invoice = worker.book.numbered(number)
        if invoice is None:
            return refusal(404, "not_found", f"there is no invoice {number[:40]!r}")
        push = retried(worker.book.push_of(number), number, self._now())
        await worker.record([Change(push_key(number), push)])
        return json_response(push_shown(invoice.customer_id, push))

    async def _reconcile(self, request: web.Request) -> web.Response:
        asked = _month.decode(await request.read())
        call = None if self._mode.client is None else self._mode.client.call
        book, meters = self._worker().book, self._mode.meters
        try:
            found = await reconciled(book, self._reads, None if meters else call, asked.month, self._mode.name)
            if meters and call is not None:
                checked, differences = await compared_usage(book, self._reads, call, asked.month)
                found = with_usage(found, checked, differences)
        except StripeAway as error:
            return refusal(503, "stripe_unavailable", str(error))
        except StripeRefuses as error:
            raise Refused(str(error)) from error
        return json_response(found)

    async def _take(self, request: web.Request) -> web.Response:
        """Take a report of Stripe. What it says of an invoice is recorded before it is answered."""
        asked = _report.decode(await request.read())
        secrets = self._settings.stripe_webhook_secret.split()
        if not secrets:
            return _refused(404, "not_found", "this server takes no events of Stripe; set REV_STRIPE_WEBHOOK_SECRET")
        body = asked.body.encode()
        try:
            webhook.check(body, asked.signature, secrets, self._now())
            report = webhook.report_of(body)
        except webhook.Forged as error:
            return _refused(401, "unauthorized", str(error))
        except msgspec.DecodeError as error:
            return _refused(400, "invalid_request", f"the body is not an event of Stripe: {error}")
        if isinstance(report, MeterReport):
            return await self._take_dropped(report)
        if report is None or not report.number:
            metrics.REPORTS.labels("ignored").inc()
            return json_response(ReportTaken("ignored"))
        worker = self._worker()
        try:
            webhook.check_known(report, worker.book)
            push = worker.book.pushes[report.number]
            if webhook.is_undecided(report, push):
                words = f"whether invoice {report.number} was paid through Stripe is not known yet; report it again"
                return refusal(503, "invoices_unavailable", words)
            invoice = await worker.change(report.number, lambda one: webhook.changed(report, one, push, self._now()))
        except Refused as error:
            log.error(
                "stripe_report_refused", report=report.id, type=report.type, invoice=report.number, error=str(error)
            )
            return _refused(error.status, error.code, str(error))
        if report.type == "invoice.payment_failed":
            log.warning("stripe_payment_failed", invoice=report.number, report=report.id)
        assert invoice is not None
        if invoice.balance < 0:
            log.error("invoice_overpaid", invoice=report.number, cents=-invoice.balance, do="pay it back")
        metrics.REPORTS.labels("taken").inc()
        return json_response(ReportTaken("taken"))

    async def _take_dropped(self, report: MeterReport) -> web.Response:
        """Make visible that Stripe dropped meter events. Which, is only in the event that the report names."""
        found, unread = DroppedEvents(), ""
        try:
            if self._mode.client is None:
                raise StripeRefuses("without REV_STRIPE_KEY it cannot be read")
            found = dropped(await self._mode.client.call(requests.read_event(report.id)))
        except StripeAway as error:
            return _refused(503, "stripe_unavailable", str(error))
        except (StripeRefuses, msgspec.ValidationError) as error:
            unread = str(error)
        log.error(
            "meter_events_dropped",
            report=report.id,
            type=report.type,
            meter=report.meter,
            count=found.count,
            reasons=found.reasons,
            samples=found.samples,
            unread=unread,
            do="set right what Stripe names, and compare with rev reconcile stripe",
        )
        metrics.METER_DROPPED.inc(found.count or 1)
        metrics.REPORTS.labels("taken").inc()
        return json_response(ReportTaken("taken"))


def _refused(status: int, code: str, error: str) -> web.Response:
    metrics.REPORTS.labels("refused").inc()
    return refusal(status, code, error)
