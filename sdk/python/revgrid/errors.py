"""What the client raises.

    RevError
    ├── NoAnswerError            nothing came back in time
    ├── InvalidAnswerError       something came back that is not an answer of Rev
    ├── RefusedError             Rev said no; also every status that has no class of its own
    │   ├── InvalidRequestError  400, 405, 413, 415, 417
    │   ├── UnauthorizedError    401
    │   ├── ForbiddenError       403
    │   ├── NotFoundError        404
    │   ├── ConflictError        409
    │   ├── TooManyRequestsError 429, after the last try
    │   └── UnavailableError     5xx, after the last try
    └── SignatureError           a webhook that is not to be trusted; a ValueError too

No I/O may come in here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import BatchError, Outcome


class RevError(Exception):
    """Everything that this package raises about an exchange with Rev.

    ``idempotency_key``: the key that the request carried, given or made. After an error that
    leaves it open whether something was charged (NoAnswerError, InvalidAnswerError,
    UnavailableError), repeat the call with this key: it is charged once.
    """

    def __init__(self, message: str, *, idempotency_key: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.idempotency_key = idempotency_key


class NoAnswerError(RevError):
    """No answer arrived: refused, broken off, or too late. ``__cause__`` says how."""


class InvalidAnswerError(RevError):
    """An answer that cannot be read, such as the page of a proxy. ``status``: its HTTP status."""

    def __init__(self, message: str, *, status: int, idempotency_key: str | None = None) -> None:
        super().__init__(message, idempotency_key=idempotency_key)
        self.status = status


class RefusedError(RevError):
    """Rev refused. ``code`` is for programs (``idempotency_conflict``), ``message`` for people,
    ``request_id`` for whoever runs Rev; code and request_id are None when a proxy answered.

    ``errors``: what is wrong with which event of a batch. ``outcome``: where the outcome stands
    that is the reason of a refusal.
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
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(message, idempotency_key=idempotency_key)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.errors = errors
        self.outcome = outcome

    def __str__(self) -> str:
        name = f"{self.status} {self.code}" if self.code else str(self.status)
        asked = f" (request {self.request_id})" if self.request_id else ""
        return f"{name}: {self.message}{asked}"


class InvalidRequestError(RefusedError):
    """The request must be corrected; the message names the field."""


class UnauthorizedError(RefusedError):
    """The API key is missing, unknown or revoked."""


class ForbiddenError(RefusedError):
    """The customer is not this API key's."""


class NotFoundError(RefusedError):
    """There is no such thing, or it is another customer's."""


class ConflictError(RefusedError):
    """The request contradicts what is: a key used with another body, a task that exists, an
    outcome that has ended. ``outcome`` is its current state."""


class TooManyRequestsError(RefusedError):
    """Too many events are still without a price."""


class UnavailableError(RefusedError):
    """Rev could not do it now. ``code`` ``unknown``: it may have been recorded nevertheless."""


class SignatureError(RevError, ValueError):
    """The signature is missing or is not that of this body and secret."""


_BY_STATUS = {
    400: InvalidRequestError,
    401: UnauthorizedError,
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
    """The class of an HTTP status."""
    return _BY_STATUS.get(status, UnavailableError if status >= 500 else RefusedError)
