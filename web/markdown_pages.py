"""Markdown as safe HTML, with an anchor for each heading. Pure.

Raw HTML in a document is shown as text, and a link leads to a web address, a section or a document that is served:
anything else is text without a link.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

COPY = Markup(
    '<button class="plain" type="button" data-copy aria-label="Copy"><svg class="icon" viewBox="0 0 16 16" '
    'aria-hidden="true"><rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/>'
    '<path d="M10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2"/></svg></button>'
)
LinkOf = Callable[[str], str | None]
"""Where a link of a document leads on this server; None for nowhere."""


class Section(NamedTuple):
    """A heading, 1 to 6, and the text below it up to the next one, without markup."""

    level: int
    title: str
    anchor: str
    text: str


class RenderedPage(NamedTuple):
    html: Markup
    sections: list[Section]


def render(text: str, link_of: LinkOf) -> RenderedPage:
    """Return a document as HTML. ``link_of`` is asked for each link that is neither a web address nor a section."""
    tokens = _markdown.parse(text)
    _direct_links(tokens, link_of)
    _label_cells(tokens)
    sections = _sections(tokens)
    return RenderedPage(Markup(_markdown.renderer.render(tokens, _markdown.options, {})), sections)


def anchor_of(title: str) -> str:
    """Return the anchor that GitHub gives a heading, so that the documents' links lead there, too."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _direct_links(tokens: Sequence[Token], link_of: LinkOf) -> None:
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                href = str(child.attrGet("href") or "")
                if not href.startswith(("#", "https://", "http://")):
                    found = link_of(href)
                    if found is None:
                        child.tag, child.attrs = "span", {}
                    else:
                        child.attrSet("href", found)
            elif child.type == "link_close":
                child.tag = _opening(token.children or [], child).tag


def _opening(children: Sequence[Token], closing: Token) -> Token:
    """Return what opened a link: the last one before it, since links do not nest."""
    before = [child for child in children[: list(children).index(closing)] if child.type == "link_open"]
    return before[-1]


def _label_cells(tokens: Sequence[Token]) -> None:
    """Give each cell of a table the title of its column, which it shows where a narrow screen folds the row."""
    labels: list[str] = []
    column = 0
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "table_open":
            labels = []
        elif token.type == "tr_open":
            column = 0
        elif token.type == "th_open" and after is not None:
            labels.append(_plain(after))
        elif token.type == "td_open":
            token.attrs.pop("style", None)
            token.attrSet("data-label", labels[column])
            column += 1
        if token.type == "th_open":
            token.attrs.pop("style", None)  # an alignment would be an inline style
            token.attrSet("scope", "col")


def _sections(tokens: Sequence[Token]) -> list[Section]:
    """Give each heading its anchor and return the sections."""
    found: list[Section] = []
    text: list[str] = []
    known: dict[str, int] = {}
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and after is not None:
            _close(found, text)
            title = _plain(after)
            anchor = anchor_of(title)
            known[anchor] = known.get(anchor, -1) + 1
            anchor += f"-{known[anchor]}" if known[anchor] else ""
            token.attrSet("id", anchor)
            found.append(Section(int(token.tag[1:]), title, anchor, ""))
        elif token.type == "inline":
            text.append(_plain(token))
        elif token.type in ("fence", "code_block"):
            text.append(token.content)
    _close(found, text)
    return found


def _close(found: list[Section], text: list[str]) -> None:
    """Give the last section the text that followed its heading."""
    if found:
        last = found[-1]
        words = " ".join(" ".join(text).split())
        found[-1] = last._replace(text=words.removeprefix(last.title).strip())
    text.clear()


def _plain(inline: Token) -> str:
    return "".join(
        " " if child.type in ("softbreak", "hardbreak") else child.content for child in inline.children or ()
    )


def _code(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    code = tokens[index].content.rstrip("\n")
    return Markup('<div class="code"><pre tabindex="0"><code>{}</code></pre>{}</div>\n').format(code, COPY)


def _heading_end(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    opening = next(token for token in reversed(tokens[:index]) if token.type == "heading_open")
    link = Markup('<a class="anchor" href="#{}" aria-label="Link to this section">#</a></{}>\n')
    return link.format(opening.attrGet("id"), opening.tag)


def _table(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return '<div class="scroll" tabindex="0"><table class="stacks">\n'


def _table_end(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return "</table></div>\n"


def _maker() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    made.add_render_rule("fence", _code)
    made.add_render_rule("code_block", _code)
    made.add_render_rule("heading_close", _heading_end)
    made.add_render_rule("table_open", _table)
    made.add_render_rule("table_close", _table_end)
    return made


_markdown = _maker()
