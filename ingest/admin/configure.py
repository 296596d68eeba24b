"""Shared helpers of the admin handlers: credentials, body, id in the path, command."""

import re
from typing import TypeVar

import msgspec
from aiohttp import web

from ingest.auth import require_admin, require_view
from ingest.context import Context
from ingest.problems import NotFound
from ingest.request_body import body_of
from ingest.validation import decode
from schemas.commands import Configure, encode
from schemas.limits import MAX_BODY
from schemas.replies import ConfiguredReply

ACTOR = "admin"
Body = TypeVar("Body", bound=msgspec.Struct)


async def admin_body(context: Context, request: web.Request, decoder: msgspec.json.Decoder[Body]) -> Body:
    """Return the body of an admin's request. Raises Unauthorized before the body is read."""
    admin(context, request)
    made: Body = decode(await body_of(request, MAX_BODY), decoder.decode, decoder.type)
    return made


def admin(context: Context, request: web.Request) -> None:
    """Raise Unauthorized, or NotRecordedYet while the view is too old."""
    require_admin(context, request)
    require_view(context)


def id_of(request: web.Request, what: str) -> int:
    """Return the id in the path. Raises NotFound if it is not an id."""
    text = request.match_info["id"]
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise NotFound(f"there is no {what} {text[:50]!r}")
    return int(text)


async def configure(context: Context, command: Configure) -> ConfiguredReply:
    """Send a change through the log; see ingest.command_log."""
    return await context.submitter.configure(encode(command), context.follower)
