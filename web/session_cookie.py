"""Sessions: signed cookies of the owner and of portal users, and the tokens of forms against forged requests. Pure.

A session is its cookie: an id, when it ends, and an HMAC over both. Only the ids of sessions that were ended by hand
are kept, until they would have ended anyway, so that a copied cookie is worth nothing after signing out of this
process (docs/decisions/0036-web.md).
"""

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from schemas.limits import HOUR

LIFETIME = 12 * HOUR
ID_BYTES = 16
NONCE_BYTES = 8


MODES = {"live": False, "test": True}


class OwnerSession(NamedTuple):
    """A session of the owner; ``expires`` in ms."""

    id: str
    expires: int


class PortalSession(NamedTuple):
    """A session of one customer and mode. ``key``: the id of the API key that made it, 0 if a link did."""

    id: str
    expires: int
    customer_id: str
    test: bool
    key: int


class PortalLink(NamedTuple):
    """What a link lets its holder see, until ``expires`` (ms)."""

    customer_id: str
    test: bool
    expires: int


def signing_key(secret_key: str, admin_token: str, random_bytes: Callable[[int], bytes]) -> bytes:
    """Return the key that signs sessions.

    It follows from REV_SECRET_KEY, so that every `rev web` accepts the same sessions, and from the admin token, so
    that a new token ends them. Without REV_SECRET_KEY it is random, and a restart ends all sessions.
    """
    secret = secret_key.encode() if secret_key else random_bytes(32)
    return hmac.digest(secret, b"rev web sessions\0" + admin_token.encode(), "sha256")


class SessionSigner:
    """Signs and checks cookies and form tokens. ``clock`` returns ms; ``token`` the hex of so many random bytes."""

    def __init__(self, key: bytes, clock: Callable[[], int], token: Callable[[int], str]) -> None:
        self._key = key
        self._clock = clock
        self._token = token
        self._ended: dict[str, int] = {}

    def begin(self) -> tuple[OwnerSession, str]:
        """Return a new session and its cookie."""
        session = OwnerSession(self._token(ID_BYTES), self._clock() + LIFETIME)
        return session, self._sealed("session", session.id, str(session.expires))

    def session_of(self, cookie: str) -> OwnerSession | None:
        """Return the session of a cookie; None if it is not ours, over, or ended by hand."""
        match self._unsealed("session", cookie):
            case [id, expires] if not self._is_over(id, int(expires)):
                return OwnerSession(id, int(expires))
        return None

    def begin_portal(
        self, customer_id: str, test: bool, key: int = 0, until: int | None = None
    ) -> tuple[PortalSession, str]:
        """Return a new session of a customer and its cookie. It ends at ``until`` (ms), if that comes first."""
        expires = self._clock() + LIFETIME
        session = PortalSession(
            self._token(ID_BYTES), expires if until is None else min(expires, until), customer_id, test, key
        )
        parts = (session.id, str(session.expires), _mode(test), str(key), customer_id.encode().hex())
        return session, self._sealed("portal", *parts)

    def portal_session_of(self, cookie: str) -> PortalSession | None:
        """Return the customer's session of a cookie; None as for ``session_of``."""
        match self._unsealed("portal", cookie):
            case [id, expires, mode, key, customer] if not self._is_over(id, int(expires)):
                return PortalSession(id, int(expires), bytes.fromhex(customer).decode(), MODES[mode], int(key))
        return None

    def portal_link(self, link: PortalLink) -> str:
        """Return the signed text of a link."""
        return self._sealed("link", str(link.expires), _mode(link.test), link.customer_id.encode().hex())

    def portal_link_of(self, text: str) -> PortalLink | None:
        """Return what a link lets its holder see; None if it is not ours, or over."""
        match self._unsealed("link", text):
            case [expires, mode, customer] if int(expires) > self._clock():
                return PortalLink(bytes.fromhex(customer).decode(), MODES[mode], int(expires))
        return None

    def end(self, session: OwnerSession | PortalSession) -> None:
        """Refuse the session from now on."""
        now = self._clock()
        self._ended = {id: until for id, until in self._ended.items() if until > now}
        self._ended[session.id] = session.expires

    def form_token(self, id: str) -> str:
        """Return a token for a form of the session ``id``; another one each time, so that compression tells nothing."""
        nonce = self._token(NONCE_BYTES)
        return f"{nonce}.{self._sign('form', id, nonce)}"

    def is_form_token(self, id: str, token: str) -> bool:
        """True if the token was made for a form of the session ``id``."""
        nonce, _, signature = token.partition(".")
        return self._is_signed(signature, "form", id, nonce)

    def new_id(self) -> str:
        """Return a random id, for the form of someone who is not signed in yet."""
        return self._token(ID_BYTES)

    def _is_over(self, id: str, expires: int) -> bool:
        return expires <= self._clock() or id in self._ended

    def _sealed(self, kind: str, *parts: str) -> str:
        """Return the parts, which hold no points, and their signature as one text."""
        return ".".join([*parts, self._sign(kind, *parts)])

    def _unsealed(self, kind: str, text: str) -> list[str] | None:
        """Return the parts of a text that we made for this use; None for any other."""
        *parts, signature = text.split(".")
        return parts if self._is_signed(signature, kind, *parts) else None

    def _sign(self, *parts: str) -> str:
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return hmac.new(self._key, text, sha256).hexdigest()

    def _is_signed(self, signature: str, *parts: str) -> bool:
        given = signature.encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, self._sign(*parts).encode())


def _mode(test: bool) -> str:
    return "test" if test else "live"
