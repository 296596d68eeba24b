"""schemas.signing: the known vectors, verifiers that others wrote, and our own."""

import base64
import time
from datetime import UTC, datetime

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from schemas import signing
from schemas.secrets import new_secret
from schemas.signing import SignatureError, verify, verify_body

OLD, NEW = (new_secret(lambda length, byte=byte: bytes([byte]) * length) for byte in (1, 2))
BODY = '{"id":"evt_42","type":"meter.created","data":{"agent_id":"Zoë"}}'.encode()
NOW = 1_790_000_000
IDS = ("evt_42", "meter.created", "0b6c9d1e-6f0a-5d5b-9c53-3d3a1c2b4e5f")


def signed(*secrets: str, body: bytes = BODY, at: int = NOW) -> dict[str, str]:
    return signing.headers(secrets, *IDS, at, body)


def test_the_known_vector_of_the_hex_signature() -> None:
    """Hex HMAC-SHA256 with the text of the whole secret."""
    made = signing.hex_signature("It's a Secret to Everybody", b"Hello, World!")
    assert made == "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_the_known_vector_of_standard_webhooks() -> None:
    """v1,<base64> over id, timestamp and body, keyed with the decoded secret."""
    made = signing.standard_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_delivery_has_every_documented_header() -> None:
    """The names and values that API.md lists, and the previous signature only after a rotation."""
    made = signed(NEW)
    assert made == {
        "Content-Type": "application/json",
        "X-Rev-Signature": signing.hex_signature(NEW, BODY),
        "X-Revgrid-Signature": signing.hex_signature(NEW, BODY),
        "X-Rev-Event": "meter.created",
        "X-Rev-Delivery": IDS[2],
        "webhook-id": "evt_42",
        "webhook-timestamp": str(NOW),
        "webhook-signature": signing.standard_signature(NEW, "evt_42", NOW, BODY),
    }
    assert made["X-Rev-Signature"] == made["X-Rev-Signature"].lower()


def test_after_a_rotation_both_secrets_sign() -> None:
    """webhook-signature carries both, X-Rev-Signature the new one, -Previous the old one."""
    made = signed(NEW, OLD)
    assert made["webhook-signature"].split(" ") == [signed(secret)["webhook-signature"] for secret in (NEW, OLD)]
    assert made["X-Rev-Signature"] == made["X-Revgrid-Signature"] == signing.hex_signature(NEW, BODY)
    assert made["X-Rev-Signature-Previous"] == signing.hex_signature(OLD, BODY)


@pytest.mark.parametrize("secret", [OLD, NEW])
@pytest.mark.parametrize("during", [(NEW, OLD), (OLD,), (NEW,)])
def test_the_published_verifiers_agree(secret: str, during: tuple[str, ...]) -> None:
    """standardwebhooks and svix accept what one of their receiver's secrets signed, and nothing
    else; both secrets during a rotation. (They look at the clock themselves.)"""
    made = signed(*during, at=int(time.time()))
    ours = lambda: verify([secret], made, BODY, time.time())  # noqa: E731
    theirs = lambda: standardwebhooks.Webhook(secret).verify(BODY, made)  # noqa: E731
    svixs = lambda: svix.webhooks.Webhook(secret).verify(BODY, made)  # noqa: E731
    for check in (ours, theirs, svixs):
        if secret in during:
            check()
        else:
            with pytest.raises((SignatureError, standardwebhooks.WebhookVerificationError)):
                check()


@given(st.binary(min_size=1, max_size=64), st.text(max_size=200), st.integers(10**9, 2 * 10**9))
def test_what_standardwebhooks_signs_we_verify(key: bytes, text: str, at: int) -> None:
    """Any key, any body, any time: one scheme, two implementations."""
    secret = "whsec_" + base64.b64encode(key).decode()
    made = standardwebhooks.Webhook(secret).sign("evt_1", datetime.fromtimestamp(at, UTC), text)
    assert made == signing.standard_signature(secret, "evt_1", at, text.encode())
    received = {"Webhook-Id": "evt_1", "WEBHOOK-TIMESTAMP": str(at), "webhook-signature": made}
    assert verify([secret], received, text.encode(), at) == ("evt_1", at)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "evt_43"},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()},
        {"webhook-signature": "v1,not base64"},
        {"webhook-signature": signing.hex_signature(NEW, BODY)},
        {"webhook-signature": signed(NEW)["webhook-signature"].replace("v1,", "v2,")},
        {"webhook-signature": signed(NEW)["webhook-signature"].replace("v1,", "v1a,")},
        {"webhook-id": ""},
        {"webhook-id": "evt_42é"},
        {"webhook-id": "evt_\ud800"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": f"+{NOW}"},
        {"webhook-timestamp": "१७९"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-signature": ""},
    ],
)
def test_a_changed_header_is_refused(change: dict[str, str]) -> None:
    """Id, time and signature are all vouched for, and no form of them makes it crash."""
    with pytest.raises(SignatureError):
        verify([NEW], signed(NEW) | change, BODY, NOW)


@given(st.binary(max_size=100))
def test_another_body_is_refused(body: bytes) -> None:
    """By both schemes."""
    made = signed(NEW)
    if body == BODY:
        return
    with pytest.raises(SignatureError):
        verify([NEW], made, body, NOW)
    with pytest.raises(SignatureError):
        verify_body([NEW], body, made["X-Rev-Signature"])


@pytest.mark.parametrize(("off", "accepted"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_an_old_or_early_delivery_is_refused(off: int, accepted: bool) -> None:
    """Five minutes either way by the clock that is passed in, so that nothing can be played again."""
    if accepted:
        verify([NEW], signed(NEW), BODY, NOW + off)
    else:
        with pytest.raises(SignatureError, match="more than 300 s"):
            verify([NEW], signed(NEW), BODY, NOW + off)


def test_a_further_signature_of_another_version_does_no_harm() -> None:
    """Whatever else stands in the header, one that matches is enough."""
    made = signed(NEW)
    made["webhook-signature"] = f"v1a,abc v1,%%% junk {made['webhook-signature']}"
    assert verify([OLD, NEW], made, BODY, NOW).event_id == "evt_42"


def test_the_hex_signature_is_verified_for_any_of_the_secrets() -> None:
    """A receiver that holds both secrets accepts the header of either."""
    made = signed(NEW, OLD)
    verify_body([OLD, NEW], BODY, made["X-Rev-Signature"])
    verify_body([OLD], BODY, made["X-Rev-Signature-Previous"])
    for wrong in ("", "é", made["X-Rev-Signature"].upper(), made["X-Rev-Signature"][:-1]):
        with pytest.raises(SignatureError):
            verify_body([NEW], BODY, wrong)


def test_no_refusal_shows_a_secret_or_a_signature() -> None:
    """Its text may go to a log."""
    with pytest.raises(SignatureError) as refusal:
        verify([OLD], signed(NEW), BODY, NOW)
    assert str(refusal.value) == "no signature matches"
