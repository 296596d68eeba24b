"""The table of dialects. A dialect is a module of its own, and its line here."""

from ingest.dialects.dialect import Dialect, DialectRoute
from ingest.dialects.lago import LAGO
from ingest.dialects.langfuse import LANGFUSE
from ingest.dialects.litellm import LITELLM
from ingest.dialects.openmeter import OPENMETER
from ingest.dialects.otlp import OTLP
from ingest.dialects.paid import PAID
from ingest.dialects.revenium import REVENIUM
from ingest.dialects.stripe import STRIPE

DIALECTS: tuple[Dialect, ...] = (REVENIUM, OTLP, OPENMETER, LAGO, PAID, STRIPE, LITELLM, LANGFUSE)
PREFIXES = (
    *dict.fromkeys(route.path.split("/")[1] for dialect in DIALECTS for route in dialect.routes),
    *("profitstream", "v2"),
)
"""The first parts of the paths of all dialects; the last two are Revenium's jobs and budget rules."""
URL = "http://127.0.0.1:8080"
"""Where `rev up` serves, for the list."""
BY_NAME = {dialect.name: dialect for dialect in DIALECTS}


def listed() -> str:
    """Return the dialects as text: what to set in the client, how it sends the key, and the paths."""
    lines = []
    for dialect in DIALECTS:
        lines.append(f"{dialect.name}  {dialect.product}")
        lines.append(f"  set   {dialect.set_up.replace('{url}', URL)}")
        lines.append(f"  key   {dialect.key_header}")
        lines += [f"  POST  {route.path}" for route in dialect.routes]
    return "\n".join([*lines, ""])


def route_of(dialect: Dialect, path: str | None) -> DialectRoute | None:
    """Return the route at a path, the first one without a path, or None."""
    return next((route for route in dialect.routes if path in (None, route.path)), None)
