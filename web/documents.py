"""The documents of docs/, as pages: which there are, in which order, and a search over their sections.

Rendered once, at the first request for them.
"""

import asyncio
import posixpath
import re
from collections.abc import Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from web.markdown_pages import RenderedPage, Section, render

DIRECTORY = Path(__file__).parent.parent / "docs"
"""Beside the packages, in the repository and where Rev is installed."""
FIRST = "quickstart"
GROUPS = {
    "Start": ("quickstart", "charging", "sdk"),
    "Send events": ("api", "reference", "dialects", "import"),
    "Charge for results": ("outcomes", "webhooks"),
    "Query and audit": ("ledger", "statements", "invoices", "verify"),
    "Run": ("operations", "figures"),
    "Inside": ("architecture", "glossary"),
}
DECISIONS = "decisions/"
MOST_WORDS, MOST_FOUND = 8, 30
AROUND = 90
"""Characters that a result shows before and after what was found."""
TITLE_WEIGHT, HEADING_WEIGHT, MOST_TIMES = 8, 20, 5


class Document(NamedTuple):
    """A document; ``name`` is its path below docs/ without the suffix."""

    name: str
    page: RenderedPage

    @property
    def title(self) -> str:
        return self.page.sections[0].title if self.page.sections else self.name

    @property
    def path(self) -> str:
        return "/docs" if self.name == FIRST else f"/docs/{self.name}"


class Found(NamedTuple):
    """A section that a search found; ``excerpt`` marks the words."""

    title: str
    heading: str
    path: str
    excerpt: Markup


class Documents:
    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._texts = {
            path.relative_to(directory).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(directory.rglob("*.md"))
        }

    async def ready(self) -> "Documents":
        """Return this when everything is rendered, which takes a second once and holds up nobody else."""
        if "all" not in self.__dict__:
            await asyncio.to_thread(lambda: self.all)
        return self

    @cached_property
    def all(self) -> dict[str, Document]:
        """Every document by its name."""
        return {name: Document(name, render(text, partial(self._leads_to, name))) for name, text in self._texts.items()}

    def groups(self) -> dict[str, list[Document]]:
        """Return the documents of the navigation by the title of their group."""
        return {title: [self.all[name] for name in names] for title, names in GROUPS.items()}

    def decisions(self) -> list[Document]:
        """Return the decisions in their order."""
        return [document for name, document in self.all.items() if name.startswith(DECISIONS)]

    def search(self, query: str) -> list[Found]:
        """Return the sections that hold every word of the query, the best first."""
        words = re.findall(r"\S+", query.lower())[:MOST_WORDS]
        if not words:
            return []
        scored = (
            (score, document, section)
            for document in self.all.values()
            for section in document.page.sections
            if (score := _score(words, document.title, section) // (2 if document.name.startswith(DECISIONS) else 1))
        )
        best = sorted(scored, key=lambda one: (-one[0], one[1].name))[:MOST_FOUND]
        return [
            Found(
                document.title,
                section.title,
                document.path + (f"#{section.anchor}" if section.level > 1 else ""),
                _excerpt(words, section.text),
            )
            for _, document, section in best
        ]

    def _leads_to(self, name: str, href: str) -> str | None:
        """Return the address of a link in a document; None for a file that is not served."""
        path, _, anchor = href.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        if not path.endswith(".md") or target.removesuffix(".md") not in self._texts:
            return None
        known = target.removesuffix(".md")
        return ("/docs" if known == FIRST else f"/docs/{known}") + (f"#{anchor}" if anchor else "")


def _score(words: Iterable[str], title: str, section: Section) -> int:
    """Return how well a section fits; 0 if it lacks a word."""
    heading, text, score = section.title.lower(), section.text.lower(), 0
    for word in words:
        inside = min(text.count(word), MOST_TIMES)
        if word in heading:
            inside += HEADING_WEIGHT
        if not inside:
            return 0
        score += inside + (TITLE_WEIGHT if word in title.lower() else 0)
    return score


def _excerpt(words: Iterable[str], text: str) -> Markup:
    """Return the text around the first word that is in it, its words marked."""
    lower = text.lower()
    places = [place for word in words if (place := lower.find(word)) >= 0]
    start = max(0, min(places, default=0) - AROUND)
    shown = text[start : start + 2 * AROUND]
    pattern = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.I)
    parts: list[Markup] = []
    last = 0
    for match in pattern.finditer(shown):
        parts += [Markup.escape(shown[last : match.start()]), Markup("<mark>{}</mark>").format(match[0])]
        last = match.end()
    parts.append(Markup.escape(shown[last:]))
    before, after = "… " if start else "", " …" if start + 2 * AROUND < len(text) else ""
    return Markup(before) + Markup("").join(parts) + Markup(after)
