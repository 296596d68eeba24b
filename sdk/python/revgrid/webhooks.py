"""Verification that a delivery comes from Rev: HMAC-SHA256 of its raw body. Pure."""

from __future__ import annotations

import hashlib
import hmac

from .errors import SignatureError


class WebhookVerifier:
    """Verifier of ``X-Rev-Signature``: lower-case hex, keyed with the bytes of the whole secret."""

    def __init__(self, secret: str) -> None:
        if not secret:
            raise ValueError("secret must not be empty")
        self._key = secret.encode()

    def verify(self, raw_body: bytes | str, sig_header: str | None) -> None:
        """Return if the signature is that of this body. Raises SignatureError, a ValueError.

        ``raw_body``: as received, not parsed and serialized again. For a day after a rotation of the
        secret, ``X-Rev-Signature-Previous`` has the old secret's signature.
        """
        body = raw_body.encode() if isinstance(raw_body, str) else bytes(raw_body)
        expected = hmac.new(self._key, body, hashlib.sha256).hexdigest()
        # as bytes: compare_digest refuses text that is not ASCII, and a forger may send anything
        if not hmac.compare_digest(expected.encode(), (sig_header or "").encode("utf-8", "surrogatepass")):
            raise SignatureError("the signature is missing or does not match this body and secret")

    def __repr__(self) -> str:
        return "WebhookVerifier(secret=…)"
