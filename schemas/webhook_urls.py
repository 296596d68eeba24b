"""Rules for the URLs of webhooks and for the addresses that they resolve to. Pure.

Registration refuses what is visible in the URL. The sender must check the address of every connection
with :func:`is_refused`, since the owner of a name can change its address at any time. Nothing here
resolves a name or connects.

The table of addresses is explicit. The classes "global" and "private" of ipaddress serve other
purposes and change between releases of Python; they let through, for instance, the metadata
services at 192.0.0.192 and 168.63.129.16, multicast, and IPv4 addresses wrapped in IPv6.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

MAX_URL = 2048
HTTPS_PORT = 443
HTTP_PORT = 80
FIRST_FREE_PORT = 1024
"""Lower ports belong to mail, shells and name services, to which no request may be smuggled."""

Address = IPv4Address | IPv6Address

REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host, this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; metadata at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent
        "169.254.0.0/16",  # link-local; metadata at 169.254.169.254 and others
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; metadata at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
REFUSED_V6 = tuple(
    IPv6Network(network)
    for network in (
        # Global unicast is 2000::/3 and nothing else. The next three are the rest: loopback,
        # unspecified, IPv4-compatible, -mapped and -translated, NAT64 (64:ff9b::/96, 64:ff9b:1::/48),
        # discard (100::/64), segment routing (5f00::/16), unique local (fc00::/7), link-local
        # (fe80::/10), site-local (fec0::/10), multicast (ff00::/8), and unassigned addresses.
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # protocol assignments: Teredo (2001::/32), benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
DEVELOPMENT_V4 = tuple(
    IPv4Network(network)
    for network in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
"""The refused networks that REV_WEBHOOK_ALLOW_PRIVATE allows: they hold no metadata service."""
DEVELOPMENT_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
NO_PUBLIC_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")
"""Domains that never resolve to a public address."""

_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?")
_VISIBLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


class WebhookUrlError(ValueError):
    """A URL to which webhooks are never sent; the message says why, for the person who gave it."""


class WebhookUrl(NamedTuple):
    """The parts of an accepted URL.

    Requests are made from them and never from the text, which another parser may read differently.
    """

    scheme: str
    host: str
    """A lower-case name, or an address without brackets."""
    port: int
    target: str
    """Path and query as they were given; begins with a slash."""
    address: Address | None = None
    """The address, if the host is one."""


def parse(url: str, allow_private: bool = False) -> WebhookUrl:
    """Return the parts of a URL, if its text allows sending webhooks to it.

    ``allow_private`` (development) also allows http, port 80 and private addresses. The name is not
    resolved. Raises WebhookUrlError.
    """
    if len(url) > MAX_URL:
        raise WebhookUrlError(f"url must have at most {MAX_URL} characters")
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        raise WebhookUrlError(
            "url must be visible ASCII without backslashes; write a name as xn--…, and other characters as %XX"
        )
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise WebhookUrlError("url must be of the form https://host/path")
    scheme, authority, target, fragment = parts[1].lower(), parts[2], parts[3], parts[4]
    if scheme != "https" and not (allow_private and scheme == "http"):
        raise WebhookUrlError("url must use https")
    if fragment is not None:
        raise WebhookUrlError("url must not have a fragment (#…); it would never be sent")
    if "@" in authority:
        raise WebhookUrlError("url must not have a user name or password; deliveries are signed instead")
    text, port = _host_and_port(authority, scheme)
    _check_port(port, allow_private)
    host, address = _host(text, allow_private)
    return WebhookUrl(scheme, host, port, target if target.startswith("/") else "/" + target, address)


def is_refused(address: Address, allow_private: bool = False) -> bool:
    """True if nothing may be sent to this address; pass the address of the connection itself."""
    if isinstance(address, IPv4Address):
        if allow_private and any(address in network for network in DEVELOPMENT_V4):
            return False
        return any(address in network for network in REFUSED_V4)
    if allow_private:
        if (inner := address.ipv4_mapped) is not None:
            return is_refused(inner, allow_private)
        if any(address in network for network in DEVELOPMENT_V6):
            return False
    # A zone names the link to use, and only refused addresses have links.
    return address.scope_id is not None or any(address in network for network in REFUSED_V6)


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    """Return the host (in brackets if it came so) and port between // and the path."""
    end = authority.find("]") + 1  # colons before it belong to an IPv6 address
    at = authority.find(":", end)
    if at < 0:
        return authority, HTTPS_PORT if scheme == "https" else HTTP_PORT
    if not _PORT.fullmatch(authority, at + 1):
        raise WebhookUrlError("url must have a port from 1 to 65535")
    return authority[:at], int(authority[at + 1 :])


def _check_port(port: int, allow_private: bool) -> None:
    if port == HTTPS_PORT or FIRST_FREE_PORT <= port <= 65535 or (allow_private and port == HTTP_PORT):
        return
    raise WebhookUrlError(f"url must use port {HTTPS_PORT} or {FIRST_FREE_PORT} to 65535, not {port}")


def _host(text: str, allow_private: bool) -> tuple[str, Address | None]:
    """Return the host to connect to, and its address if it is one."""
    if text.startswith("["):
        address = _address_v6(text)
    elif _NUMBER.fullmatch(text.rstrip(".").rpartition(".")[2]):
        address = _address_v4(text)
    else:
        return _name(text.lower(), allow_private), None
    if is_refused(address, allow_private):
        raise WebhookUrlError("url must have a public address")
    return str(address), address


def _address_v6(text: str) -> Address:
    try:
        if not text.endswith("]") or "%" in text:
            raise ValueError("a zone, or something after the bracket")
        return IPv6Address(text[1:-1])
    except ValueError:
        raise WebhookUrlError("url must have an IPv6 address between [ and ]") from None


def _address_v4(text: str) -> Address:
    """Parse four decimal numbers.

    Anything else that ends in a number is one of the old ways to write an IPv4 address (decimal, octal,
    hex, short), which every library reads differently.
    """
    try:
        return IPv4Address(text)
    except ValueError:
        raise WebhookUrlError("url must have an IPv4 address of four decimal numbers, such as 203.0.113.7") from None


def _name(name: str, allow_private: bool) -> str:
    if name.endswith("."):
        raise WebhookUrlError("url must not have a host that ends with a dot")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise WebhookUrlError("url must have a valid host name or address")
    if not allow_private and (len(labels) == 1 or any(("." + name).endswith("." + end) for end in NO_PUBLIC_NAMES)):
        raise WebhookUrlError("url must have a public host name")
    return name
