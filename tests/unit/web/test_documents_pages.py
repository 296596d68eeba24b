"""Documents as pages: complete, linked, searchable, and nothing of them runs."""

import re
from pathlib import Path

import pytest

from tests.unit.web.conftest import DOCUMENTS, Server
from web.documents import DECISIONS, DIRECTORY, GROUPS, Documents
from web.markdown_pages import anchor_of, render

ROOT = Path(__file__).parents[3]
HOSTILE = """# <script>alert(1)</script>

<img src=x onerror=alert(1)> [a](javascript:alert(1)) [b](data:text/html,x) [c](//evil.example) ![d](https://evil.example/p)

| <b> | x |
|:--|--:|
| <i onclick=x> | `"><svg onload=x>` |

```"><script>
</code><script>alert(1)</script>
```
"""


def test_every_document_has_a_place() -> None:
    """In the navigation, or among the decisions; and the other way round."""
    named = {name for names in GROUPS.values() for name in names}
    assert named == {name for name in DOCUMENTS.all if not name.startswith(DECISIONS)}
    assert len(DOCUMENTS.decisions()) == len(list((ROOT / "docs" / "decisions").glob("*.md")))
    assert ROOT / "docs" == DIRECTORY


def test_every_link_leads_to_a_section() -> None:
    """Of this page or of another one."""
    anchors = {one.path: {section.anchor for section in one.page.sections} for one in DOCUMENTS.all.values()}
    for one in DOCUMENTS.all.values():
        for href in re.findall(r'href="([^"]*)"', one.page.html):
            path, _, anchor = href.partition("#")
            if not href.startswith("https://"):
                assert path in ("", *anchors), (one.name, href)
                assert not anchor or anchor in anchors[path or one.path], (one.name, href)


def test_anchors_are_those_of_github() -> None:
    assert anchor_of("POST /v1/events/{event_id}") == "post-v1eventsevent_id"
    page = render("# A\n\n## Same\n\n## Same\n", lambda href: None)
    assert [section.anchor for section in page.sections] == ["a", "same", "same-1"]


def test_markup_in_a_document_is_text() -> None:
    """No tag, no script address, no picture and no inline style comes through."""
    html = render(HOSTILE, lambda href: None).html
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {"h1", "a", "p", "span", "div", "table", "thead", "tbody", "tr", "th", "td", "code", "pre"} | {
        *("button", "svg", "rect", "path")
    }
    assert not re.search(r"<[^>]*\s(?:on\w+|style)=", html) and re.findall(r'href="([^#][^"]*)"', html) == [
        "https://evil.example/p"  # the picture is a link, so nothing is asked of another host by itself
    ]
    assert html.count("&lt;script&gt;") == 2 and "<script" not in html


def test_cells_know_their_column_and_code_can_be_copied() -> None:
    """What a narrow screen shows beside a cell, and what the button copies."""
    page = render("# T\n\n| call | `what` |\n|---|---|\n| a | b |\n\n    one < two\n", lambda href: None)
    assert '<td data-label="call">a</td>' in page.html and '<td data-label="what">b</td>' in page.html
    assert "<code>one &lt; two</code></pre><button" in page.html
    assert page.sections[0].text == "call what a b one < two"


async def test_pages_are_served(server: Server) -> None:
    for path, expected in (
        ("/docs", "Quickstart"),
        ("/docs/api", "The HTTP API"),
        ("/docs/decisions/0036-web", "0036"),
    ):
        status, _, text = await server.get(path)
        assert status == 200 and f">{expected}" in text and 'aria-current="page"' in text
    for path in ("/docs/nothing", "/docs/..%2fREADME", "/docs/decisions/..%2fapi", "/docs/decisions"):
        assert (await server.get(path))[0] == 404


async def test_the_search_finds_sections_with_every_word(server: Server) -> None:
    """The best first, their words marked; what was asked is shown as text."""
    _, _, text = await server.get("/docs?q=Rotate+secret")
    hits = re.findall(r'<li><a href="(/docs[^"]*)"><span class="hit-title">', text)
    assert "/docs/api#webhooks" in hits[:3] and "<mark>secret</mark>" in text
    _, _, text = await server.get("/docs?q=%3Cscript%3E+zzz")
    assert "&lt;script&gt; zzz</b>" in text and "No section holds" in text
    assert (await server.get("/docs?q=" + "x" * 5000))[0] == 200


@pytest.mark.parametrize("words", ["", "   ", "(", "[a-", "\\", "<mark>"])
def test_a_search_is_no_pattern(words: str) -> None:
    assert isinstance(DOCUMENTS.search(words), list)


def test_results_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("# X <b>\n\nneedle `<script>` needle\n")
    (found,) = Documents(tmp_path).search("needle")
    assert found.excerpt == "<mark>needle</mark> &lt;script&gt; <mark>needle</mark>" and found.heading == "X <b>"
