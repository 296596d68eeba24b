"""notifier.transport.failure_reasons: what is told to an endpoint's owner, and what Retry-After means."""

import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given
from hypothesis import strategies as st

from notifier.transport.connector import AnswerTooLong
from notifier.transport.failure_reasons import OUT_OF_SOMETHING, is_ours, reason, retry_after
from notifier.transport.resolver import AddressRefused, NameUnknown

KEY = ConnectionKey("hooks.internal.example", 443, True, True, None, None, None)
NOW = 1_790_000_000
MISMATCH = ssl.SSLCertVerificationError(1, "hostname")
MISMATCH.verify_message = "Hostname mismatch, certificate is not valid for 'secret.internal'."
EXPIRED = ssl.SSLCertVerificationError(1, "expired")
EXPIRED.verify_message = "certificate has expired"
HANDSHAKE = ssl.SSLError(1, "handshake")
HANDSHAKE.reason = "SSLV3_ALERT_HANDSHAKE_FAILURE"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "timeout"),
        (AnswerTooLong(), "the response headers are too long"),
        (aiohttp.ServerDisconnectedError(), "the connection was closed without a response"),
        (aiohttp.ClientPayloadError("half of it"), "the response was cut off"),
        (aiohttp.ClientConnectionResetError("Cannot write"), "connection reset"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), "connection reset"),
        (aiohttp.ClientOSError(errno.EMFILE, "too many"), OUT_OF_SOMETHING),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "no")), "connection refused"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.EHOSTUNREACH, "no")), "unreachable"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ENETUNREACH, "no")), "unreachable"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ETIMEDOUT, "no")), "timeout"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNRESET, "no")), "connection reset"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.EMFILE, "no")), OUT_OF_SOMETHING),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.EADDRNOTAVAIL, "no")), OUT_OF_SOMETHING),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(errno.EMFILE, "no")), OUT_OF_SOMETHING),
        (aiohttp.ClientConnectorError(KEY, OSError("Multiple exceptions: 10.0.0.7")), "cannot connect"),
        (aiohttp.ClientConnectorError(KEY, AddressRefused("10.0.0.7")), "refused: private address"),
        (aiohttp.ClientConnectorDNSError(KEY, AddressRefused("10.0.0.7")), "refused: private address"),
        (aiohttp.ClientConnectorDNSError(KEY, NameUnknown("nothing")), "the name does not resolve"),
        (aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_NONAME, "x")), "the name does not resolve"),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_AGAIN, "x")),
            "the name servers did not answer",
        ),
        (aiohttp.ClientConnectorCertificateError(KEY, EXPIRED), "tls: certificate has expired"),
        (aiohttp.ClientConnectorCertificateError(KEY, MISMATCH), "tls: the certificate is for another name"),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("x")), "tls: bad certificate"),
        (aiohttp.ClientConnectorSSLError(KEY, HANDSHAKE), "tls: sslv3 alert handshake failure"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError("x")), "tls: handshake failed"),
        (aiohttp.ClientError("something new"), "the request failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_failure_has_a_short_reason(error: aiohttp.ClientError, text: str) -> None:
    """And none repeats a host, an address of this network or what the other side sent."""
    assert reason(error) == text


def test_a_lack_on_this_side_is_told_apart() -> None:
    """Of descriptors, memory or local ports; it is not the endpoint's fault, whatever else failed of it."""
    assert is_ours(aiohttp.ClientConnectorError(KEY, OSError(errno.EMFILE, "x")))
    assert is_ours(aiohttp.ClientConnectorDNSError(KEY, OSError(errno.EMFILE, "x")))
    assert is_ours(OSError(errno.ENFILE, "x"))
    assert is_ours(aiohttp.ClientConnectorError(KEY, OSError(errno.EADDRNOTAVAIL, "x")))
    both = "Multiple exceptions: [Errno 111] Connect call failed, [Errno 99] Cannot assign requested address"
    assert is_ours(aiohttp.ClientConnectorError(KEY, OSError(both)))
    assert not is_ours(aiohttp.ClientConnectorError(KEY, OSError(both.replace("Errno 99", "Errno 101"))))
    assert not is_ours(aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "x")))
    assert not is_ours(TimeoutError()) and not is_ours(aiohttp.ServerDisconnectedError())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("999999999", 999999999.0),
        ("9999999999", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("١٢", None),
        ("1" * 5000, None),
        ("Mon, 21 Sep 2026 14:13:50 GMT", 30.0),
        ("Mon, 21 Sep 2026 14:13:20 GMT", 0.0),
        ("Mon, 21 Sep 1998 14:13:20 GMT", 0.0),
        ("Mon, 99 Sep 2026 14:13:20 GMT", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """Compared with the attempt's own time, never negative, None when it cannot be read."""
    assert retry_after(value, NOW) == seconds


@given(st.text(max_size=80))
def test_no_retry_after_does_harm(value: str) -> None:
    """Whatever a receiver writes."""
    found = retry_after(value, NOW)
    assert found is None or found >= 0
