"""Which customers of Stripe usage goes to: one of Stripe's has that of one customer of Rev, so it can be compared."""

from collector.book import Book
from collector.invoicing import DEFAULT
from collector.stripe import requests
from collector.stripe.calls import Call, StripeRefuses
from collector.stripe.stripe_customers import GivenIds, is_taken_up, taken_up, with_own
from schemas.pushes import StripeCustomer


class MeterCustomers:
    """The customers of some lines. ``ids``: theirs in Stripe; ``new``: what has to be recorded of them before anything
    is sent. ``attempt``: a part of the idempotency keys."""

    def __init__(self, call: Call, book: Book, given: GivenIds, attempt: tuple[str, ...]) -> None:
        self.ids: dict[str, str] = {}
        self.new: dict[str, StripeCustomer] = {}
        self._call = call
        self._book = book
        self._given = given
        self._attempt = attempt
        self._takers: dict[str, str] = {}

    async def ensure(self, name: str) -> None:
        """Find out who a customer is in Stripe: the one that was given, one with our id in its metadata, or a new one.

        Raises StripeAway or StripeRefuses.
        """
        known, given = self._book.stripe_customers.get(name), self._given.get(name)
        if given:
            if not is_taken_up(known, given):
                self._check_free(given, name)
                self.new[name] = await taken_up(self._call, name, given, known)
            self.ids[name] = given
        elif known is not None and known.id:
            self.ids[name] = known.id
        else:
            bill_to = self._book.billing.get(name, DEFAULT).bill_to
            found = (await self._call(requests.find_customer(name)))["data"]
            if not found:
                found = [await self._call(requests.make_customer(name, bill_to, 0, *self._attempt))]
            id = str(found[0]["id"])
            self._check_free(id, name)
            self.new[name] = with_own(known, id, bill_to)
            self.ids[name] = id

    def _check_free(self, id: str, name: str) -> None:
        """Raise StripeRefuses if another customer's usage goes to a customer of Stripe."""
        taker = self._takers.setdefault(id, name)
        holders = (other for other in self._book.by_stripe_id.get(id, ()) if self._current(other) == id)
        for other in (taker, *holders):
            if other != name:
                raise StripeRefuses(
                    f"customer {id!r} in Stripe has the usage of customer {other!r} already; "
                    f"set external_ids.stripe of {name!r} or {other!r} right"
                )

    def _current(self, name: str) -> str:
        """Return where a customer's usage goes."""
        return self._given.get(name) or self._book.stripe_customers[name].id
