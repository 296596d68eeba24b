"""schemas.secrets: made at random, kept encrypted, and never shown by an error."""

import base64
import secrets
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.secrets import KEY_BYTES, SecretBox, SecretError, new_secret, read_key, signing_key

KEY = bytes(range(KEY_BYTES))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def counting() -> Callable[[int], bytes]:
    """A source that is not random but never repeats itself."""
    numbers = iter(range(10**6))
    return lambda length: next(numbers).to_bytes(length, "big")


@given(st.text(), st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_a_box_gives_back_what_it_was_given(text: str, key: bytes) -> None:
    """Any text comes back under any key, and the sealed form is ASCII for a JSON record."""
    sealed = SecretBox(key).encrypt(text, secrets.token_bytes)
    assert sealed.isascii()
    assert SecretBox(key).decrypt(sealed) == text


def test_the_same_secret_is_never_sealed_alike() -> None:
    """Two endpoints with one secret cannot be told from the log."""
    box, source = SecretBox(KEY), counting()
    assert box.encrypt(SECRET, source) != box.encrypt(SECRET, source)


@given(st.data())
def test_whatever_is_altered_is_refused(data: st.DataObject) -> None:
    """Every single bit counts: of the nonce, of the text, of the tag."""
    sealed = SecretBox(KEY).encrypt(SECRET, counting())
    raw = bytearray(base64.b64decode(sealed[3:]))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SecretError, match="another key, or altered"):
        SecretBox(KEY).decrypt("v1:" + base64.b64encode(raw).decode())


@pytest.mark.parametrize("sealed", ["", "v1:", "v1:AAAA", "v1:%%%", SECRET, "v2:" + "A" * 80, "v1:" + "é" * 40])
def test_what_was_never_sealed_is_refused(sealed: str) -> None:
    """Neither a crash nor the text itself comes out of something else."""
    with pytest.raises(SecretError):
        SecretBox(KEY).decrypt(sealed)


def test_another_key_opens_nothing_and_no_error_tells_anything() -> None:
    """A lost or changed key is said plainly, with neither text nor key nor cause attached."""
    sealed = SecretBox(KEY).encrypt(SECRET, counting())
    with pytest.raises(SecretError) as refusal:
        SecretBox(bytes(KEY_BYTES)).decrypt(sealed)
    assert str(refusal.value) == "this secret was encrypted with another key, or altered"
    assert refusal.value.__suppress_context__
    assert SECRET[6:] not in repr(refusal.value) and KEY.hex() not in repr(SecretBox(KEY))


def test_a_source_that_gives_too_little_is_noticed() -> None:
    """A short nonce would repeat."""
    with pytest.raises(SecretError, match="randomness"):
        SecretBox(KEY).encrypt(SECRET, lambda length: b"x")


def test_a_new_secret_is_base64_that_signs_and_survives_a_shell() -> None:
    """whsec_ and base64 of 24 to 64 bytes (Standard Webhooks), without padding."""
    asked = []

    def source(length: int) -> bytes:
        asked.append(length)
        return secrets.token_bytes(length)

    secret = new_secret(source)
    assert secret.startswith("whsec_") and not secret.endswith("=")
    assert 24 <= len(signing_key(secret)) == asked[0] <= 64
    assert new_secret(source) != secret


@pytest.mark.parametrize("secret", ["", "whsec_", "MfKQ9r8GKYqr", "whsec_****", "whsec_A"])
def test_what_cannot_sign_is_refused(secret: str) -> None:
    """Only whsec_ and base64 of something is a secret; the error does not repeat it."""
    with pytest.raises(SecretError) as refusal:
        signing_key(secret)
    assert "MfKQ" not in str(refusal.value) and "****" not in str(refusal.value)


@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_a_key_is_read_however_its_base64_was_written(key: bytes) -> None:
    """Both alphabets, with padding or without, with the line's end of a file."""
    for text in (base64.b64encode(key), base64.urlsafe_b64encode(key)):
        assert read_key(text.decode()) == read_key(text.decode().rstrip("=") + "\n") == key


@pytest.mark.parametrize("text", ["", "short", "A" * 42, "A" * 44, "é" * 43, base64.b64encode(bytes(33)).decode()])
def test_a_key_of_another_length_is_refused(text: str) -> None:
    """The error names the setting and what it wants, not what it found."""
    with pytest.raises(SecretError, match="REV_SECRET_KEY must be base64 of 32 bytes"):
        read_key(text)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_box_takes_a_whole_key_only(length: int) -> None:
    """AES-128 is not what was promised."""
    with pytest.raises(SecretError, match="32 bytes"):
        SecretBox(bytes(length))
