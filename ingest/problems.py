"""Refusals: the exceptions that become error responses, in one JSON shape.

    Problem
      Invalid         400
      Unauthorized    401
      Forbidden       403
      NotFound        404
      NothingCharged  409, code nothing_charged
      NotVoidable     409, code not_voidable
      PayloadTooLarge 413
      Unsupported     415
      TooMany         429 + Retry-After
      NotRecordedYet  503 + Retry-After, code not_recorded: nothing was appended
      MaybeRecorded   503 + Retry-After, code unknown: repeat with the same key
      LedgerBehind    503 + Retry-After, code reads_unavailable: the ledger does not hold everything asked for yet
      InvoicesAway    503 + Retry-After, code invoices_unavailable or the collector's own
      Unanswered      503 + Retry-After, code reads_unavailable: a shard did not reply to a read
      Decided         a refusal by the pricer

Handlers raise these; ingest.middleware turns them into responses. No HTTP library is imported here.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from schemas.objects import Number, OutcomeStatus
from schemas.replies import IndexedError
from schemas.spending import BudgetObject

RETRY_AFTER = "1"
"""Seconds, as text for the header."""


class Problem(Exception):
    """A refusal. ``errors`` are those of a batch, by index."""

    status: int = 400
    code: str = "invalid_request"
    outcome: OutcomeStatus | None = None
    """The status of the outcome, if it is the reason for the refusal."""
    budget: BudgetObject | None = None
    """The budget, if it is the reason for the refusal."""
    balance_cents: Number | UnsetType = UNSET
    """What is left of prepaid credit, if that is the reason."""

    def __init__(self, error: str, errors: Sequence[IndexedError] = (), headers: Mapping[str, str] | None = None):
        super().__init__(error)
        self.error = error
        self.errors = errors
        self.headers = headers or {}


class Invalid(Problem):
    """An error in the request; the message names it."""


class Unauthorized(Problem):
    status, code = 401, "unauthorized"


class Forbidden(Problem):
    status, code = 403, "forbidden"


class NotFound(Problem):
    status, code = 404, "not_found"


class NothingCharged(Problem):
    status, code = 409, "nothing_charged"


class NotVoidable(Problem):
    status, code = 409, "not_voidable"


class PayloadTooLarge(Problem):
    status, code = 413, "too_large"


class Unsupported(Problem):
    status, code = 415, "unsupported_media_type"


class _Later(Problem):
    def __init__(self, error: str, retry_after: str = RETRY_AFTER) -> None:
        super().__init__(error, headers={"Retry-After": retry_after})


class TooMany(_Later):
    status, code = 429, "too_many_requests"


class NotRecordedYet(_Later):
    status, code = 503, "not_recorded"


class MaybeRecorded(_Later):
    status, code = 503, "unknown"


class LedgerBehind(_Later):
    status, code = 503, "reads_unavailable"


class InvoicesAway(Problem):
    status, code = 503, "invoices_unavailable"

    def __init__(self, error: str = "the collector does not answer; try again", code: str = code) -> None:
        super().__init__(error, headers={"Retry-After": RETRY_AFTER})
        self.code = code


class Unanswered(_Later):
    status, code = 503, "reads_unavailable"


class Decided(Problem):
    """A refusal by the pricer, after the append; status and code are the pricer's."""

    def __init__(
        self,
        status: int,
        code: str,
        error: str,
        errors: Sequence[IndexedError] = (),
        outcome: OutcomeStatus | None = None,
        budget: BudgetObject | None = None,
        balance_cents: Number | UnsetType = UNSET,
    ) -> None:
        super().__init__(error, errors)
        self.status = status
        self.code = code
        self.outcome = outcome
        self.budget = budget
        self.balance_cents = balance_cents


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The JSON of every refusal.

    ``outcome`` is the outcome whose status is the reason; its id and status are also given separately. ``budget`` is
    the budget that does not allow the request, ``balance_cents`` the prepaid credit that does not cover it.
    """

    error: str
    code: str
    request_id: str
    errors: Sequence[IndexedError] = ()
    outcome_id: str | None = None
    status: str | None = None
    outcome: OutcomeStatus | None = None
    budget: BudgetObject | None = None
    balance_cents: Number | UnsetType = UNSET


encode = msgspec.json.Encoder().encode
