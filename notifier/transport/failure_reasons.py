"""Describes the failure of a request in words for the endpoint's owner. Pure.

The texts are short and a closed set: none contains anything that the endpoint sent, an address of this
network, or a secret.
"""

import email.utils
import errno
import re
import socket

from aiohttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
)

from notifier.transport.connector import AnswerTooLong
from notifier.transport.resolver import AddressRefused, NameUnknown

TIMEOUT = "timeout"
INTERNAL = "internal error"
REFUSED_ADDRESS = "refused: private address"
OUT_OF_SOMETHING = "not sent: the notifier is out of connections"
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Shortages of descriptors, memory or local ports. A machine without IPv6 is not such a shortage, whatever
error the system reports (notifier.transport.connector): it would last for ever."""
_EACH_ERRNO = re.compile(r"\[Errno ([0-9]{1,4})\]")
_SECONDS = re.compile(r"[0-9]{1,9}")


def reason(error: ClientError | OSError | TimeoutError) -> str:
    """Return why there is no response. The order of cases matters: aiohttp's errors inherit from each other."""
    if is_ours(error):
        return OUT_OF_SOMETHING
    match error:
        case AnswerTooLong():
            return "the response headers are too long"
        case ClientConnectorCertificateError():
            return _certificate(error.certificate_error)
        case ClientConnectorSSLError():
            return f"tls: {_tls(error.os_error)}"
        case ClientConnectorDNSError() if not isinstance(error.os_error, AddressRefused):
            return _name(error.os_error)
        case ClientConnectorError():
            return _connecting(error.os_error)
        case ServerDisconnectedError():
            return "the connection was closed without a response"
        case ClientPayloadError():
            return "the response was cut off"
        case ClientResponseError():
            return "the response is not HTTP"
        case TimeoutError():
            return TIMEOUT
        case ClientConnectionError() | OSError():
            return "connection reset"
        case _:
            return "the request failed"


def is_ours(error: ClientError | OSError | TimeoutError) -> bool:
    """True if the cause is a shortage on this side, which says nothing about the endpoint."""
    inner = error.os_error if isinstance(error, ClientConnectorError) else error
    if not isinstance(inner, OSError):
        return False
    # if several addresses failed, each in its own way, only the texts of their errors are left
    numbers = [inner.errno] if inner.errno is not None else map(int, _EACH_ERRNO.findall(str(inner)))
    return not _OURS.isdisjoint(numbers)


def retry_after(value: str | None, now_s: float) -> float | None:
    """Return the seconds that a Retry-After requests, at least 0; None if it is missing or unreadable.
    ``now_s``: Unix time of the attempt, to which a date is relative."""
    if value is None or len(value) > 64:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        at = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, at - now_s)


def _certificate(error: Exception) -> str:
    """Return what is wrong with a certificate. OpenSSL's texts are a closed list, except for the name that
    did not match."""
    text = str(getattr(error, "verify_message", "") or "bad certificate")
    return "tls: " + ("the certificate is for another name" if "mismatch" in text else text[:80])


def _tls(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ")[:80] if reason else "handshake failed"


def _name(error: OSError) -> str:
    lasting = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
    if isinstance(error, NameUnknown) or error.errno in lasting:
        return "the name does not resolve"
    return "the name servers did not answer"


def _connecting(error: OSError) -> str:
    if isinstance(error, AddressRefused):
        return REFUSED_ADDRESS
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionError):  # by class: the event loops do not always set an errno
        return "connection reset"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
        return "unreachable"
    return TIMEOUT if error.errno == errno.ETIMEDOUT else "cannot connect"
