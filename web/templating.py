"""The templates of web/templates: autoescaped, strict, with the formats of web.formats."""

from pathlib import Path
from typing import Any

import jinja2

from web import currency_amounts, formats, navigation
from web.static_files import StaticFiles

DIRECTORY = Path(__file__).parent / "templates"
HELPERS = {
    "money": formats.money,
    "price": formats.price,
    "rate": formats.rate,
    "dollars": formats.dollars,
    "grouped": formats.grouped,
    "exact_cents": formats.exact_cents,
    "dollars_in_full": formats.dollars_in_full,
    "short": formats.short,
    "moment": formats.moment,
    "amount_in": currency_amounts.amount_in,
}


class Templates:
    """Renders templates. Every template knows the helpers, ``static`` (address of a file) and the navigation."""

    def __init__(self, files: StaticFiles, directory: Path = DIRECTORY) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(directory),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {
            **HELPERS,
            "static": files.url,
            "destinations": navigation.DESTINATIONS,
            "references": navigation.REFERENCES,
            "portal_destinations": navigation.PORTAL_DESTINATIONS,
        }

    def render(self, name: str, **values: Any) -> str:
        """Return the text of a template. Raises jinja2.TemplateError for a value that is missing."""
        return self._environment.get_template(name).render(values)
