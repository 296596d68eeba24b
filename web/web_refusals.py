"""Refusals of `rev web`: the exceptions that become error pages, or JSON under /api."""

from collections.abc import Mapping

import msgspec


class Refusal(Exception):
    """A request that is not served; ``sentence`` says why, to a person."""

    def __init__(self, status: int, code: str, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.headers = headers or {}


class RefusalBody(msgspec.Struct, frozen=True):
    """The JSON of a refusal, as the gateway's."""

    error: str
    code: str
    request_id: str


def invalid(sentence: str) -> Refusal:
    """Return the refusal of a request that is wrong in itself."""
    return Refusal(400, "invalid_request", sentence)


def away(what: str) -> Refusal:
    """Return the refusal while something that the answer needs does not answer."""
    return Refusal(503, "reads_unavailable", f"{what} at the moment; try again", {"Retry-After": "1"})
