"""Suggestions for unknown field names: the field that the sender probably meant. Pure.

First match wins: the field's own name in another spelling (tokensInput), then the names that providers
and other meters use (prompt_tokens), then the nearest spelling.
"""

import difflib
import re

from schemas.labels import ABOUT
from schemas.outcome_terms import TERMS

MEANT: dict[str, tuple[str, ...]] = {
    "tokens_input": (
        "inputtokens", "prompttokens", "contexttokens", "inputtokencount", "prompttokencount", "tokensprompt",
        "numinputtokens", "numprompttokens", "promptevalcount", "tokensin", "usageinputtokens",
    ),
    "tokens_output": (
        "outputtokens", "completiontokens", "generatedtokens", "outputtokencount", "completiontokencount",
        "candidatestokencount", "tokenscompletion", "numoutputtokens", "numcompletiontokens", "evalcount", "tokensout",
    ),
    "tokens": ("totaltokens", "totaltokencount", "tokencount", "numtokens", "tokentotal", "tokensused", "tokenstotal"),
    "usage": ("usagemetadata", "tokenusage", "usageobject"),
    "quantities": ("units", "counts", "quantity", "measures"),
    "rates": ("unitrates", "quantityrates", "pricesperunit"),
    "customer_id": (
        "customer", "customername", "userid", "user", "subject", "accountid", "tenantid", "organizationid",
        "organizationname", "externalcustomerid", "externalsubscriptionid", "subscriberid",
    ),
    "agent_id": ("agent", "agentname"),
    "action": (
        "event", "eventtype", "eventname", "type", "operation", "operationtype", "operationname", "actiontype", "code",
        "metercode", "tasktype", "actionname",
    ),
    "timestamp": (
        "time", "ts", "createdat", "occurredat", "eventtime", "requesttime", "datetime", "date", "created", "at",
    ),
    "metadata": ("properties", "data", "attributes", "meta", "tags", "labels", "extra", "payload", "dimensions"),
    "idempotency_key": ("id", "transactionid", "eventid", "requestid", "uuid", "key", "dedupekey", "messageid"),
    **{name: (*about.headers, *about.hints) for name, about in ABOUT.items()},
    "outcome": ("status", "success", "result"),
    "success": ("status", "result", "verdict"),
    "evidence": ("proof", "data", "payload"),
    "expires_at": ("expires", "deadline", "expiry", "expiration", "dueat", "duedate", "validuntil"),
    **{term.name: term.hints for term in TERMS},
    "action_type": ("action", "type", "event", "code"),
    "base_rate_cents": ("base", "baserate", "price", "baseprice", "rate", "amount", "cents"),
    "token_rate_cents": ("token", "tokenrate", "tokenprice", "pertoken"),
    "outcome_bonus_cents": ("bonus", "outcomebonus", "successbonus"),
    "customer_name": ("name",),
    "url": ("endpoint", "endpointurl", "targeturl", "webhookurl", "target"),
    "events": ("eventtypes", "types", "enabledevents", "subscriptions", "data", "items", "records"),
    "reason": ("why", "comment", "note", "description", "message"),
}  # fmt: skip
"""For each field, the names that others use for it, without case and punctuation."""

_CACHE_READ = (
    "cachereadinputtokens", "cachedtokens", "cachedinputtokens", "cachereadtokens", "cachereadtokencount",
    "cachedcontenttokencount", "inputcachedtokens",
)  # fmt: skip
_CACHE_WRITE = ("cachecreationinputtokens", "cachecreationtokencount", "cachewritetokens", "cachewritetokencount")
_REASONING = ("reasoningtokens", "reasoningtokencount", "thoughtstokencount", "thinkingtokens")
_INCLUDED = "? Leave these tokens out of {}, or send the provider's object as usage"
MORE: dict[str, tuple[str, str]] = {
    **dict.fromkeys(_CACHE_READ, ("tokens_cache_read", _INCLUDED.format("tokens_input"))),
    **dict.fromkeys(_CACHE_WRITE, ("tokens_cache_write", _INCLUDED.format("tokens_input"))),
    **dict.fromkeys(_REASONING, ("tokens_reasoning", _INCLUDED.format("tokens_output"))),
}  # fmt: skip
"""Names whose hint needs a sentence more: the field that is meant, and the end of the hint."""


def hint(name: str, known: tuple[str, ...]) -> str:
    """Return ``; did you mean 'tokens'?`` or another hint for an unknown name, or an empty string."""
    folded = _folded(name)
    meant = next((field for field in known if _folded(field) == folded), None)
    if meant is None:
        meant = next((field for field, names in MEANT.items() if field in known and folded in names), None)
    if meant is None and folded in MORE and MORE[folded][0] in known:
        field, end = MORE[folded]
        return f"; did you mean {field!r}{end}"
    if meant is None:
        meant = next(iter(near(name, known)), None)
    return "" if meant is None else f"; did you mean {meant!r}?"


def near(name: str, known: tuple[str, ...]) -> list[str]:
    """Return the nearest spelling among the known names, if one is near."""
    return difflib.get_close_matches(name[:100], known, 1)


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name[:100].lower())
