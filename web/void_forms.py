"""The form that voids an event or a charge: a reason and a confirmation, both required."""

from web.visits import Visit
from web.web_refusals import invalid


async def void(visit: Visit, path: str) -> None:
    """Ask the gateway to void what ``path`` names, as the form says. Raises Refusal."""
    form = await visit.form()
    reason = form.get("reason", "").strip()
    if not reason:
        raise invalid("reason is required: say why this is taken back.")
    if form.get("confirmed") != "yes":
        raise invalid("confirmed must be checked: a void cannot be undone.")
    await visit.site.api.call("POST", path, {"reason": reason})
