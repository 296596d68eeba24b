"""revgrid's verifier against what the notifier signs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import revgrid
from schemas.signing import SIGNATURE, headers, hex_signature

SECRET = "whsec_" + "QUJD" * 8


@given(st.binary(), st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_what_rev_signs_verifies(body: bytes, secret: str) -> None:
    """Any body and secret, the signature made by the notifier's own code."""
    revgrid.WebhookVerifier(secret).verify(body, hex_signature(secret, body))


@given(st.text())
def test_a_body_may_be_text(body: str) -> None:
    """Text stands for its UTF-8 bytes, which is what was sent."""
    signed = body.encode("utf-8", "replace")
    revgrid.WebhookVerifier(SECRET).verify(signed.decode(), hex_signature(SECRET, signed))


@given(st.one_of(st.none(), st.text(st.characters(), max_size=70), st.just(hex_signature(SECRET, b"other"))))
def test_anything_else_is_a_value_error(header: str | None) -> None:
    """Missing, malformed, not ASCII, of another body: ValueError, and nothing but that."""
    with pytest.raises(ValueError, match="signature") as raised:
        revgrid.WebhookVerifier(SECRET).verify(b"body", header)
    assert isinstance(raised.value, revgrid.SignatureError) and isinstance(raised.value, revgrid.RevError)
    assert SECRET not in str(raised.value)


def test_a_delivery_verifies_with_the_header_that_it_has() -> None:
    """It is X-Rev-Signature; for a day after a rotation the old secret's is X-Rev-Signature-Previous."""
    old, new = SECRET, "whsec_" + "REVG" * 8
    sent = headers([new, old], "evt_1", "meter.created", "d", 1, b"{}")
    revgrid.WebhookVerifier(new).verify(b"{}", sent[SIGNATURE])
    revgrid.WebhookVerifier(old).verify(b"{}", sent["X-Rev-Signature-Previous"])
    with pytest.raises(ValueError, match="signature"):
        revgrid.WebhookVerifier(old).verify(b"{}", sent[SIGNATURE])


def test_the_verifier_keeps_its_secret() -> None:
    """Neither repr nor an empty secret gives anything away."""
    assert SECRET not in repr(revgrid.WebhookVerifier(SECRET))
    with pytest.raises(ValueError, match="empty"):
        revgrid.WebhookVerifier("")
