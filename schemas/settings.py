"""The settings with their defaults, read once from an environment mapping that is passed in.

Durations are integer milliseconds internally; in the environment they are written with a unit
(``500ms``, ``2s``, ``5m``, ``24h``, ``35d``).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from schemas import times
from schemas.commands import Unpriced
from schemas.limits import DAY, HOUR
from schemas.meters import MeterRule, MeterRuleError, meter_rules
from schemas.secrets import KEY_BYTES, SecretError, read_key

LOOPBACK = "127.0.0.1"
MAX_WINDOW = 35 * DAY
MAX_TTL = 100 * 365 * DAY
"""Maximum time until an event's own expires_at; far inside ClickHouse's DateTime64."""
MAX_GRACE = 20 * DAY
"""Less than a month: the months are closed in their order."""
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY}


class SettingError(ValueError):
    """A setting that cannot be used; the message names the variable."""


def duration(name: str, text: str, most: int | None = None) -> int:
    """Return the milliseconds of a duration with a unit, at most ``most``. Raises SettingError naming the variable."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text)
    if not match:
        raise SettingError(f"{name} must be an integer and one of ms, s, m, h, d, such as 35d, not {text!r}")
    found = int(match[1]) * UNITS[match[2]]
    if most is not None and found > most:
        raise SettingError(f"{name} must be at most {most // DAY}d, not {text!r}")
    return found


def spelled(milliseconds: int) -> str:
    """Return a duration in words, in the largest unit that divides it: ``35 days``, ``90 minutes``."""
    names = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
    unit = next(unit for unit in names if milliseconds % UNITS[unit] == 0)
    return f"{milliseconds // UNITS[unit]} {names[unit]}"


def window(name: str, text: str) -> int:
    """Return a duration of at most MAX_WINDOW. Raises SettingError naming the variable.

    Beyond it the log forgets keys, and retries would charge twice.
    """
    found = duration(name, text)
    if found > MAX_WINDOW:
        raise SettingError(f"{name} must be at most 35d, since the log is kept for 36d, not {text!r}")
    return found


def whole(name: str, text: str, low: int, high: int) -> int:
    """Return an integer in [low, high]. Raises SettingError naming the variable."""
    if not re.fullmatch(r"\d{1,12}", text) or not low <= int(text) <= high:
        raise SettingError(f"{name} must be an integer from {low} to {high}, not {text!r}")
    return int(text)


def flag(name: str, text: str) -> bool:
    """Return the value of 0 or 1. Raises SettingError naming the variable for anything else."""
    if text not in ("0", "1"):
        raise SettingError(f"{name} must be 0 or 1, not {text!r}")
    return text == "1"


def http_url(name: str, text: str) -> str:
    """Return the address of an HTTP server. Raises SettingError naming the variable."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number
        usable = False
    if not usable:
        raise SettingError(f"{name} must be of the form http://HOST:PORT, not {text!r}")
    return text


def service_urls(name: str, text: str) -> tuple[tuple[str, str], ...]:
    """Return services and their addresses from ``pricer=http://HOST:PORT,ledger=…``; a service may have several.

    Raises SettingError naming the variable.
    """
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if any(not service or not sign for service, sign, _ in pairs):
        raise SettingError(f"{name} must be of the form SERVICE=http://HOST:PORT,…, not {text!r}")
    return tuple((service, http_url(name, url).rstrip("/")) for service, _, url in pairs)


def secret_key(name: str, text: str) -> str:
    """Return a text that is empty or that :func:`schemas.secrets.read_key` can read.

    Raises SettingError naming the variable.
    """
    try:
        if text:
            read_key(text)
    except SecretError:
        raise SettingError(
            f"{name} must be base64 of {KEY_BYTES} bytes; create one with `openssl rand -base64 {KEY_BYTES}`"
        ) from None
    return text


def secret(env: Mapping[str, str], name: str, in_file: str) -> str:
    """Return a secret of the environment, or of the file that ``in_file`` names; empty without one.

    Raises SettingError naming the variable, never the secret.
    """
    path = env.get(in_file)
    if not path:
        return env.get(name, "")
    if env.get(name):
        raise SettingError(f"set {name} or {in_file}, not both")
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError):
        raise SettingError(f"{in_file} must be a file that can be read, not {path!r}") from None


def choice(name: str, text: str, words: tuple[str, ...]) -> str:
    """Return one of a few words. Raises SettingError naming the variable."""
    if text not in words:
        raise SettingError(f"{name} must be {' or '.join(words)}, not {text!r}")
    return text


def _unpriced(text: str) -> Unpriced:
    return "accept" if choice("REV_UNPRICED", text, ("accept", "refuse")) == "accept" else "refuse"


def _meters(text: str) -> tuple[MeterRule, ...]:
    """Return the rules of REV_STRIPE_METERS. Raises SettingError."""
    try:
        return meter_rules(text)
    except MeterRuleError as error:
        raise SettingError(f"REV_STRIPE_METERS {error}") from None


def _hour(name: str, text: str) -> int:
    """Return the ms of a full hour, 0 for no text. Raises SettingError naming the variable."""
    try:
        found = times.parse(text) if text else 0
    except times.TimeError as error:
        raise SettingError(f"{name} {error}") from None
    if found % HOUR:
        raise SettingError(f"{name} must be a full hour, not {text!r}")
    return found


def _signup_default(env: Mapping[str, str]) -> str:
    """Return on for an address that only this machine reaches."""
    return "on" if (env.get("REV_HTTP_HOST") or LOOPBACK) in (LOOPBACK, "localhost", "::1") else "off"


class Settings(NamedTuple):
    """The settings of the services; `rev up` fills in the addresses for its children."""

    kafka: str
    """REV_KAFKA: bootstrap servers."""
    clickhouse_url: str
    """REV_CLICKHOUSE_URL."""
    clickhouse_user: str
    clickhouse_password: str
    data: Path
    """REV_DATA: the directory of this machine's state directories."""
    http_host: str
    http_port: int
    gateways: int
    """REV_GATEWAYS: gateway processes of this machine that share the port."""
    niceness: int
    """REV_NICENESS: of the embedded engine and of what shows pages and makes invoices; events do not wait for them."""
    metrics_port: int
    """REV_METRICS_PORT: /metrics and /readyz of a service that is neither web nor a gateway alone on its port;
    0 = none."""
    web_port: int
    """REV_WEB_PORT: where `rev web` listens, on REV_HTTP_HOST."""
    web_url: str
    """REV_WEB_URL: where the gateway finds `rev web`; empty: the gateway has no pages."""
    gateway_url: str
    """REV_GATEWAY_URL: where `rev web` finds the API."""
    demo: bool
    """REV_DEMO: whether the landing page shows a demo agent that calls this server."""
    service_urls: tuple[tuple[str, str], ...]
    """REV_SERVICE_URLS: services and where their /readyz and /metrics are, for the system page of `rev web`."""
    ordinal: int
    """REV_ORDINAL: number of this instance of its service (static membership)."""
    admin_token: str
    """REV_ADMIN_TOKEN; if empty, every admin call is refused unless open_admin."""
    open_admin: bool
    public_dashboard: bool
    signup: bool
    """REV_SIGNUP: whether visitors of the pages may make themselves a customer and a key."""
    partitions: int
    replication: int
    reply_host: str
    """REV_REPLY_HOST: address of this machine at which pricers reach this gateway; empty: Kafka carries the replies."""
    reply_timeout: int
    append_timeout: int
    idempotency_window: int
    outcome_ttl: int
    session_timeout: int
    unknown_customers: str
    """REV_UNKNOWN_CUSTOMERS: accept or refuse customers that a platform's key names and nobody made."""
    unpriced: Unpriced
    """REV_UNPRICED: refuse events of dialects whose action has no price, or accept them at 0 until one charges them."""
    webhook_allow_private: bool
    """REV_WEBHOOK_ALLOW_PRIVATE: for development only; allows http, port 80 and private addresses."""
    secret_key: str
    """REV_SECRET_KEY: base64 of the 32 bytes that encrypt webhook secrets; empty: webhooks are off."""
    webhook_disable_after: int
    """REV_WEBHOOK_DISABLE_AFTER: the time without one success after which a failing endpoint is given up."""
    webhook_backlog: int
    """REV_WEBHOOK_BACKLOG: records of rev.entries that an endpoint may lag behind before it is given up."""
    invoice_grace: int
    """REV_INVOICE_GRACE: ms from the end of a month to its final invoices, for events that come late."""
    collector_url: str
    """REV_COLLECTOR_URL: where the gateway finds `rev collector`; empty: the gateway has no invoices."""
    issuer: str
    """REV_ISSUER: name and address of who makes the invoices, ``|`` between lines; on PDFs."""
    stripe: str
    """REV_STRIPE: off, file, invoice or meter: how invoices or usage come to Stripe."""
    stripe_meters: tuple[MeterRule, ...]
    """REV_STRIPE_METERS: with REV_STRIPE=meter, which meters of Stripe count what."""
    stripe_meters_since: int
    """REV_STRIPE_METERS_SINCE: ms; usage from before is not sent; 0: from before the month in which it begins."""
    stripe_meter_api: str
    """REV_STRIPE_METER_API: with REV_STRIPE=meter, v1 or stream: how meter events come to Stripe."""
    stripe_key: str
    """REV_STRIPE_KEY, or what the file REV_STRIPE_KEY_FILE holds: without one, ``invoice`` is ``file``."""
    stripe_webhook_secret: str
    """REV_STRIPE_WEBHOOK_SECRET, or its _FILE; empty: reports of Stripe are refused."""
    stripe_url: str
    """REV_STRIPE_URL: a stand-in's address, for tests."""
    disk_reserve: int
    """REV_DISK_RESERVE: bytes that must stay free under REV_DATA, or intake stops; 0 = no check."""


def read(env: Mapping[str, str]) -> Settings:
    """Read the settings from an environment. Raises SettingError for a value that cannot be used."""

    def of(name: str, default: str) -> str:
        return env.get(name, default) or default

    return Settings(
        kafka=of("REV_KAFKA", "127.0.0.1:9092"),
        clickhouse_url=http_url("REV_CLICKHOUSE_URL", of("REV_CLICKHOUSE_URL", "http://127.0.0.1:8123")),
        clickhouse_user=of("REV_CLICKHOUSE_USER", "rev"),
        clickhouse_password=of("REV_CLICKHOUSE_PASSWORD", ""),
        data=Path(of("REV_DATA", "rev-data")),
        http_host=of("REV_HTTP_HOST", LOOPBACK),
        http_port=whole("REV_HTTP_PORT", of("REV_HTTP_PORT", "8080"), 0, 65535),
        gateways=whole("REV_GATEWAYS", of("REV_GATEWAYS", "1"), 1, 64),
        niceness=whole("REV_NICENESS", of("REV_NICENESS", "10"), 0, 19),
        metrics_port=whole("REV_METRICS_PORT", of("REV_METRICS_PORT", "0"), 0, 65535),
        web_port=whole("REV_WEB_PORT", of("REV_WEB_PORT", "8081"), 0, 65535),
        web_url=http_url("REV_WEB_URL", env["REV_WEB_URL"]) if env.get("REV_WEB_URL") else "",
        gateway_url=http_url("REV_GATEWAY_URL", of("REV_GATEWAY_URL", "http://127.0.0.1:8080")),
        demo=flag("REV_DEMO", of("REV_DEMO", "0")),
        service_urls=service_urls("REV_SERVICE_URLS", of("REV_SERVICE_URLS", "")),
        ordinal=whole("REV_ORDINAL", of("REV_ORDINAL", "0"), 0, 9999),
        admin_token=of("REV_ADMIN_TOKEN", ""),
        open_admin=flag("REV_OPEN_ADMIN", of("REV_OPEN_ADMIN", "0")),
        public_dashboard=flag("REV_PUBLIC_DASHBOARD", of("REV_PUBLIC_DASHBOARD", "0")),
        signup=choice("REV_SIGNUP", of("REV_SIGNUP", _signup_default(env)), ("on", "off")) == "on",
        partitions=whole("REV_PARTITIONS", of("REV_PARTITIONS", "4"), 1, 64),
        replication=whole("REV_REPLICATION", of("REV_REPLICATION", "1"), 1, 7),
        reply_host=of("REV_REPLY_HOST", ""),
        reply_timeout=duration("REV_REPLY_TIMEOUT", of("REV_REPLY_TIMEOUT", "2s")),
        append_timeout=duration("REV_APPEND_TIMEOUT", of("REV_APPEND_TIMEOUT", "5s")),
        idempotency_window=window("REV_IDEMPOTENCY_WINDOW", of("REV_IDEMPOTENCY_WINDOW", "35d")),
        outcome_ttl=duration("REV_OUTCOME_TTL", of("REV_OUTCOME_TTL", "30d"), MAX_TTL),
        session_timeout=duration("REV_SESSION_TIMEOUT", of("REV_SESSION_TIMEOUT", "6s")),
        unknown_customers=choice("REV_UNKNOWN_CUSTOMERS", of("REV_UNKNOWN_CUSTOMERS", "accept"), ("accept", "refuse")),
        unpriced=_unpriced(of("REV_UNPRICED", "refuse")),
        webhook_allow_private=flag("REV_WEBHOOK_ALLOW_PRIVATE", of("REV_WEBHOOK_ALLOW_PRIVATE", "0")),
        secret_key=secret_key("REV_SECRET_KEY", of("REV_SECRET_KEY", "")),
        webhook_disable_after=duration("REV_WEBHOOK_DISABLE_AFTER", of("REV_WEBHOOK_DISABLE_AFTER", "5d"), MAX_WINDOW),
        webhook_backlog=whole("REV_WEBHOOK_BACKLOG", of("REV_WEBHOOK_BACKLOG", "10000000"), 1, 10**12),
        invoice_grace=duration("REV_INVOICE_GRACE", of("REV_INVOICE_GRACE", "1h"), MAX_GRACE),
        collector_url=http_url("REV_COLLECTOR_URL", env["REV_COLLECTOR_URL"]) if env.get("REV_COLLECTOR_URL") else "",
        issuer=of("REV_ISSUER", ""),
        stripe=choice("REV_STRIPE", of("REV_STRIPE", "off"), ("off", "file", "invoice", "meter")),
        stripe_meters=_meters(of("REV_STRIPE_METERS", "")),
        stripe_meters_since=_hour("REV_STRIPE_METERS_SINCE", of("REV_STRIPE_METERS_SINCE", "")),
        stripe_meter_api=choice("REV_STRIPE_METER_API", of("REV_STRIPE_METER_API", "v1"), ("v1", "stream")),
        stripe_key=secret(env, "REV_STRIPE_KEY", "REV_STRIPE_KEY_FILE"),
        stripe_webhook_secret=secret(env, "REV_STRIPE_WEBHOOK_SECRET", "REV_STRIPE_WEBHOOK_SECRET_FILE"),
        stripe_url=http_url("REV_STRIPE_URL", env["REV_STRIPE_URL"]) if env.get("REV_STRIPE_URL") else "",
        disk_reserve=whole("REV_DISK_RESERVE", of("REV_DISK_RESERVE", str(256 << 20)), 0, 10**12),
    )
