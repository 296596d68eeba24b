"""Errors that the client raises.

    RevError
    ├── NoAnswerError            no answer in time
    ├── InvalidAnswerError       an answer that is not Rev's
    ├── RefusedError             Rev refused; also every status without a class of its own
    │   ├── InvalidRequestError  400, 405, 413, 415, 417
    │   ├── UnauthorizedError    401
    │   ├── PaymentRequiredError 402
    │   ├── ForbiddenError       403
    │   ├── NotFoundError        404
    │   ├── ConflictError        409
    │   ├── TooManyRequestsError 429, after the last try
    │   └── UnavailableError     5xx, after the last try
    └── SignatureError           a webhook that must not be trusted; a ValueError too

This module does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from .models import BatchError, Budget, Outcome


class RevError(Exception):
    """Base of all errors about an exchange with Rev.

    ``idempotency_key``: the key that the request carried, given or made. After an error that does not
    show whether something was charged (NoAnswerError, InvalidAnswerError, UnavailableError), repeat
    the call with this key: it is charged once.
    """

    def __init__(self, message: str, *, idempotency_key: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.idempotency_key = idempotency_key


class NoAnswerError(RevError):
    """No answer arrived: connection refused, broken off, or too late. ``__cause__`` says which."""


class InvalidAnswerError(RevError):
    """An answer that cannot be read, such as a proxy's page. ``status``: its HTTP status."""

    def __init__(self, message: str, *, status: int, idempotency_key: str | None = None) -> None:
        super().__init__(message, idempotency_key=idempotency_key)
        self.status = status


class RefusedError(RevError):
    """Rev refused the request.

    ``code`` is for programs (``idempotency_conflict``), ``message`` for people, ``request_id`` for
    Rev's operator; code and request_id are None if a proxy answered. ``errors``: what is wrong with
    which event of a batch. ``outcome``: the state of the outcome that caused the refusal.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        request_id: str | None = None,
        errors: tuple[BatchError, ...] = (),
        outcome: Outcome | None = None,
        budget: Budget | None = None,
        balance_cents: Decimal | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(message, idempotency_key=idempotency_key)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.errors = errors
        self.outcome = outcome
        self.budget = budget
        self.balance_cents = balance_cents

    def __str__(self) -> str:
        name = f"{self.status} {self.code}" if self.code else str(self.status)
        asked = f" (request {self.request_id})" if self.request_id else ""
        return f"{name}: {self.message}{asked}"


class InvalidRequestError(RefusedError):
    """The request must be corrected; the message names the field."""


class UnauthorizedError(RefusedError):
    """The API key is missing, unknown or revoked."""


class PaymentRequiredError(RefusedError):
    """The event may not be charged: a hard ``budget`` has no room for it, or the prepaid credit of ``balance_cents``
    does not cover it.
    """


class ForbiddenError(RefusedError):
    """The API key does not belong to this customer."""


class NotFoundError(RefusedError):
    """The thing does not exist, or belongs to another customer."""


class ConflictError(RefusedError):
    """The request contradicts the current state: a key used with another body, a task that exists, an
    outcome that has ended. ``outcome`` is its current state.
    """


class TooManyRequestsError(RefusedError):
    """Too many events are still without a price."""


class UnavailableError(RefusedError):
    """Rev could not handle the request now. With ``code`` ``unknown`` it may have been recorded nevertheless."""


class SignatureError(RevError, ValueError):
    """The signature is missing or does not match this body and secret."""


_BY_STATUS = {
    400: InvalidRequestError,
    401: UnauthorizedError,
    402: PaymentRequiredError,
    403: ForbiddenError,
    404: NotFoundError,
    405: InvalidRequestError,
    409: ConflictError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    417: InvalidRequestError,
    429: TooManyRequestsError,
}


def class_of(status: int) -> type[RefusedError]:
    """Return the class for an HTTP status."""
    return _BY_STATUS.get(status, UnavailableError if status >= 500 else RefusedError)
