"""How far invoices are in Stripe: values of rev.invoices, by number and by customer. Times are ms UTC."""

from typing import Literal

import msgspec

from schemas.billing import BillTo

PushState = Literal["pending", "sent", "failed"]
"""``failed``: Stripe refuses it, so that only a change and a retry help. What may pass by itself is ``pending``."""
StripeStatus = Literal["", "draft", "open", "paid", "void", "uncollectible"]
"""As Stripe has it."""

WRITTEN = "file"
"""In the place of Stripe's id: the invoice was written to a file, and is not in Stripe."""


class Push(msgspec.Struct, frozen=True, omit_defaults=True):
    """An invoice on its way to Stripe.

    ``due``: when it is tried again. ``generation``: the one of its idempotency keys, since Stripe repeats even the
    answer 500 of a key. ``invoice``: Stripe's id. ``notes``: the numbers of the credit notes that Stripe has.
    ``transfers``: Stripe's payment records of payments outside of it, by their references, empty for one that Stripe is
    not told of; of those ``attached``, it has credited the invoice.
    ``settles``: the status that Rev, not Stripe, gives it, such as paid by a transfer; ``told``: Stripe has it so.
    """

    number: str
    state: PushState
    attempts: int
    due: int
    began: int
    generation: int = 0
    invoice: str = ""
    status: StripeStatus = ""
    settles: StripeStatus = ""
    told: bool = False
    notes: tuple[str, ...] = ()
    transfers: dict[str, str] = {}
    attached: tuple[str, ...] = ()
    url: str = ""
    error: str = ""


class StripeCustomer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The customers in Stripe that a customer of Rev is or was.

    ``id``: Rev's own, empty if there is none; ``bill_to``: what Stripe knows of that one. ``given``: those that an
    administrator gave and that were used, the last one at the end.
    """

    id: str
    bill_to: BillTo
    given: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """All of them, each once: Rev's own may be given, too."""
        return tuple(dict.fromkeys((self.id, *self.given) if self.id else self.given))
