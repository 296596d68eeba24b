"""What every page that a visitor sees has: its shell, the sign-up form's token, and the UTM parameters of the link that
led here. They are carried along in links and in the form until the sign-up; no cookie tells who came from where.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from aiohttp import web

from web.visits import Visit, is_https

UTM = ("utm_source", "utm_medium", "utm_campaign")
LONGEST = 256
"""Characters of a UTM parameter that are kept."""
GUEST = "rev_guest"
"""The cookie of someone who is about to sign up; the sign-up form's token belongs to it."""
_unfit = re.compile(
    r"[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb]+"
)


class PublicFrame(NamedTuple):
    """``utm``: the parameters that are there; ``query``: the same as the end of a link, or empty."""

    utm: dict[str, str]
    query: str
    signup: bool
    signed_in: bool
    token: str


def public_page(visit: Visit, template: str, status: int = 200, **values: Any) -> web.Response:
    """Return a page for visitors; its template extends public.html."""
    id = visit.request.cookies.get(GUEST) or visit.site.signer.new_id()
    sent = values.pop("utm_of", visit.request.query)
    utm = kept(sent)
    frame = PublicFrame(
        utm=utm,
        query="?" + urlencode(utm) if utm else "",
        signup=visit.site.settings.signup,
        signed_in=visit.session is not None,
        token=visit.site.signer.form_token(id),
    )
    response = visit.page(template, status, public=frame, **values)
    if frame.signup and GUEST not in visit.request.cookies:
        response.set_cookie(GUEST, id, path="/", secure=is_https(visit.request), httponly=True, samesite="Strict")
    return response


def kept(given: Mapping[str, str]) -> dict[str, str]:
    """Return the UTM parameters that are given, without what a name may not hold: a visit is never refused for them."""
    fit = {name: _fit(given.get(name, "")) for name in UTM}
    return {name: value for name, value in fit.items() if value}


def _fit(text: str) -> str:
    """Return the text in NFC, without control and invisible characters and blanks at the ends, and not too long."""
    return unicodedata.normalize("NFC", _unfit.sub("", text)).strip()[:LONGEST].strip()
