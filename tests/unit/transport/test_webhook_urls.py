"""schemas.webhook_urls: the rules for URLs and the table of addresses."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from schemas.webhook_urls import MAX_URL, WebhookUrl, WebhookUrlError, is_refused, parse
from tests.unit.transport.addresses import DEVELOPMENT, DISGUISED, PUBLIC, REFUSED


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    """In the URL at registration, and when it is what a connection would lead to."""
    assert is_refused(ip_address(address))
    with pytest.raises(WebhookUrlError, match="url must have a public address"):
        parse(f"https://{bracketed(address)}/hook")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_accepted(address: str) -> None:
    """The table refuses no more than it says; its neighbours are somebody's servers."""
    assert not is_refused(ip_address(address))
    assert parse(f"https://{bracketed(address)}/hook").address == ip_address(address)


@pytest.mark.parametrize("host", DISGUISED.values(), ids=DISGUISED)
def test_a_disguised_host_is_refused(host: str) -> None:
    """Every old or clever way to write an address, and names that are never public."""
    with pytest.raises(WebhookUrlError):
        parse(f"https://{host}/hook")


@pytest.mark.parametrize("address", DEVELOPMENT)
def test_development_also_allows_private_addresses_http_and_port_80(address: str) -> None:
    """REV_WEBHOOK_ALLOW_PRIVATE=1, for a receiver on one's own machine."""
    assert is_refused(ip_address(address)) and not is_refused(ip_address(address), allow_private=True)
    assert parse(f"http://{bracketed(address)}/hook", allow_private=True).port == 80
    assert parse("http://localhost:8080", allow_private=True) == ("http", "localhost", 8080, "/", None)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "192.0.0.192", "168.63.129.16", "0.0.0.0", "224.0.0.1", "::", "fe80::1", "64:ff9b::1"],
)
def test_development_still_refuses_metadata_and_what_is_no_host(address: str) -> None:
    """A laptop in a cloud is still in a cloud."""
    assert is_refused(ip_address(address), allow_private=True)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://your-app.com/webhooks/revgrid", ("https", "your-app.com", 443, "/webhooks/revgrid", None)),
        ("HTTPS://Your-App.COM", ("https", "your-app.com", 443, "/", None)),
        ("https://a.example?x=1&y=%20", ("https", "a.example", 443, "/?x=1&y=%20", None)),
        ("https://a.example:8443//b/../c;d", ("https", "a.example", 8443, "//b/../c;d", None)),
        ("https://xn--bcher-kva.example:1024/", ("https", "xn--bcher-kva.example", 1024, "/", None)),
        ("https://_a.b-c.example:65535/@/:/x", ("https", "_a.b-c.example", 65535, "/@/:/x", None)),
        ("https://not-there-yet.example", ("https", "not-there-yet.example", 443, "/", None)),
        ("https://1.2.3.4.example", ("https", "1.2.3.4.example", 443, "/", None)),
    ],
)
def test_a_good_url_is_taken_apart(url: str, parts: tuple[object, ...]) -> None:
    """Parts to connect to; the path and query are kept to the letter; a name need not resolve."""
    assert parse(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/",
        "ftp://a.example/",
        "//a.example/",
        "a.example",
        "https:a.example",
        "https:/a.example",
        "https://",
        "",
        " https://a.example",
        "https://a.example/ ",
        "https://a.example/\r\nX-Evil: 1",
        "https://a.example/\x00",
        "https://a.example\\@b.example",
        "https://a.example/\\b",
        "https://a.example/ü",
        "https://user@a.example/",
        "https://user:password@a.example/",
        "https://@a.example/",
        "https://8.8.8.8@127.0.0.1/",
        "https://127.0.0.1#@a.example/",
        "https://a.example/#part",
        "https://a.example#",
        "https://a.example:/",
        "https://a.example:0/",
        "https://a.example:-1/",
        "https://a.example:0443/",
        "https://a.example:４４３/",
        "https://a.example:443:443/",
        "https://a.example:99999/",
        "https://a.example:http/",
        "https://a.example/" + "a" * MAX_URL,
    ],
)
@pytest.mark.parametrize("allow_private", [False, True])
def test_a_bad_url_is_refused(url: str, allow_private: bool) -> None:
    """Wherever a parser might read it differently, and in development as well (but for http)."""
    if url.startswith("http:"):
        assert parse(url, allow_private=True)
    else:
        with pytest.raises(WebhookUrlError, match=r"^url must "):
            parse(url, allow_private)


@pytest.mark.parametrize("port", [1, 21, 22, 25, 53, 80, 110, 442, 444, 465, 587, 993, 1023, 65536])
def test_other_ports_are_refused(port: int) -> None:
    """Mail, shells and name services must not be spoken to in our name."""
    with pytest.raises(WebhookUrlError):
        parse(f"https://a.example:{port}/")


@given(st.integers(0, 2**128 - 1))
@example(0x20010DB8 << 96)
def test_outside_global_unicast_nothing_passes(number: int) -> None:
    """Whatever may be invented later: an IPv6 address is below 2000::/3 or refused."""
    address = IPv6Address(number)
    assert number >> 125 == 1 or is_refused(address)
    if is_refused(address, allow_private=True):
        assert is_refused(address)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::"]))
def test_no_wrapped_ipv4_address_passes(number: int, prefix: str) -> None:
    """Not even a public one: who means it can write it plainly."""
    assert is_refused(IPv6Address(int(IPv6Address(prefix)) + number))
    assert is_refused(IPv6Address((0x2002 << 112) + (number << 80) + 1))


@given(st.integers(0, 2**32 - 1))
def test_what_python_calls_private_is_refused(number: int) -> None:
    """The table is no laxer than the standard library's, which it does not use."""
    address = IPv4Address(number)
    if not address.is_global or address.is_multicast:
        assert is_refused(address)


@given(st.text(st.sampled_from("ahst:/.@#?%[]\\0x1:7①。 -_é"), max_size=30))
@example("https://a.example:1024@8.8.8.8")
def test_what_is_accepted_means_the_same_to_the_client(text: str) -> None:
    """A URL that passes is read by the HTTP client's own parser exactly as by ours."""
    url = text if text.startswith("https://") else "https://" + text
    try:
        found = parse(url, allow_private=True)
    except WebhookUrlError:
        return
    theirs = URL(url, encoded=True)
    assert (theirs.scheme, theirs.raw_host, theirs.port) == found[:3]
    assert theirs.user is None and not theirs.raw_fragment
    assert isinstance(found, WebhookUrl)
