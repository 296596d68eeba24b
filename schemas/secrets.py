"""Webhook secrets: their creation, and their encryption in the log and the view.

AES-256-GCM with a random nonce of 96 bits under one key of the installation (REV_SECRET_KEY, or
DIR/secret.key): safe for 2^32 encryptions, one per webhook made or rotated. The source of
randomness is passed in. No error message and no repr may show a secret or a key.
"""

import base64
import binascii
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "whsec_"
KEY_BYTES = 32
RandomBytes = Callable[[int], bytes]
"""``os.urandom`` or ``secrets.token_bytes``: returns that many unpredictable bytes."""

_SECRET_BYTES = 36
"""288 bits; a multiple of three, so that no padding has to survive shells and .env files."""
_NONCE_BYTES = 12
_FORM = "v1:"
"""Version prefix of encrypted secrets, so that another encryption can be added later."""
_PURPOSE = b"rev webhook secret"
"""Authenticated with the text: a text encrypted for another purpose under this key is refused."""
_URL_SAFE = str.maketrans("-_", "+/")


class SecretError(ValueError):
    """A key or an encrypted secret that cannot be used; the message holds neither."""


class SecretBox:
    """Encryption and decryption of short texts with one key of KEY_BYTES bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise SecretError(f"the key must have {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)

    def encrypt(self, text: str, random_bytes: RandomBytes) -> str:
        """Return ASCII text that :meth:`decrypt` of a box with the same key turns back; different each time."""
        nonce = random_bytes(_NONCE_BYTES)
        if len(nonce) != _NONCE_BYTES:
            raise SecretError("the source of randomness returned a wrong number of bytes")
        sealed = self._cipher.encrypt(nonce, text.encode(), _PURPOSE)
        return _FORM + base64.b64encode(nonce + sealed).decode()

    def decrypt(self, sealed: str) -> str:
        """Return the text. Raises SecretError if the key differs, the text was altered, or for anything else."""
        if not sealed.startswith(_FORM):
            raise SecretError("not an encrypted secret")
        try:
            raw = base64.b64decode(sealed[len(_FORM) :], validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _PURPOSE).decode()
        except InvalidTag:
            raise SecretError("this secret was encrypted with another key, or altered") from None
        except ValueError:  # not base64, or shorter than a nonce and a tag
            raise SecretError("not an encrypted secret") from None


def new_secret(random_bytes: RandomBytes) -> str:
    """Return a secret for one endpoint: ``whsec_<base64>``."""
    return PREFIX + base64.b64encode(random_bytes(_SECRET_BYTES)).decode()


def signing_key(secret: str) -> bytes:
    """Return the bytes that Standard Webhooks signs with: the decoded base64 after ``whsec_``.

    Its padding is optional. Raises SecretError.
    """
    if not secret.startswith(PREFIX):
        raise SecretError(f"a webhook secret must begin with {PREFIX}")
    found = _decode(secret[len(PREFIX) :])
    if not found:
        raise SecretError(f"a webhook secret must be {PREFIX} and base64")
    return found


def read_key(text: str) -> bytes:
    """Decode the key in REV_SECRET_KEY or secret.key: base64 (either alphabet, padding optional) of KEY_BYTES bytes.

    Raises SecretError.
    """
    found = _decode(text.strip().translate(_URL_SAFE))
    if found is None or len(found) != KEY_BYTES:
        raise SecretError(f"REV_SECRET_KEY must be base64 of {KEY_BYTES} bytes")
    return found


def _decode(text: str) -> bytes | None:
    """Return the bytes of standard base64, or None for anything else."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
