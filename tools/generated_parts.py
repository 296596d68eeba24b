"""The parts of files that follow from schemas/labels.py and schemas/outcome_terms.py, for tools.generate. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from schemas.labels import ABOUT, LABELS
from schemas.outcome_terms import ADDED_TERMS, COLUMN_TYPES, JSON_TERMS, LEDGER_TERMS, TERMS, Kind, Term


class Part(NamedTuple):
    """Part of a file, matched by ``pattern`` exactly once, and the text that it must have."""

    path: str
    pattern: str
    text: str


def _lines(form: str) -> str:
    return "".join(form.format(name) + "\n" for name in LABELS)


class Forms(NamedTuple):
    """What the files say about a kind of term."""

    rule: str
    """The rule for its values in a request, for docs/api.md."""
    column: str
    """For docs/ledger.md, after its meaning."""
    python: str
    """Type of a parameter."""
    python_shown: str
    js: str
    js_shown: str
    absent: str
    """In the JSON object."""


FORMS: dict[Kind, Forms] = {
    "price": Forms(
        rule="cents, 0 to 10^9 with at most 12 decimals, a number or decimal text",
        column=", in cents",
        python="Cents",
        python_shown="Decimal",
        js="Cents",
        js_shown="number",
        absent="0",
    ),
    "text": Forms(
        rule="a name",
        column="; or empty",
        python="str",
        python_shown="str",
        js="string",
        js_shown="string | null",
        absent="null",
    ),
    "json": Forms(
        rule="a JSON object, kept and shown, never evaluated",
        column="",
        python="Mapping[str, Any]",
        python_shown="dict[str, Any]",
        js="Json",
        js_shown="Parsed | null",
        absent="null",
    ),
}


def _listed(names: Sequence[str]) -> str:
    """Return names that end a list of several in a sentence."""
    return "".join(f"{' and' if name == names[-1] else ','} `{name}`" for name in names)


def _rule(term: Term) -> str:
    required = "required; " if term.required else ""
    absent = "; 0 when absent" if term.kind == "price" and not term.required else ""
    return f"| `{term.name}` | {required}{term.meaning}: {FORMS[term.kind].rule}{absent} |\n"


def _parameter(term: Term) -> str:
    return f"    {term.name}: {FORMS[term.kind].python}{'' if term.required else ' | None = None'},\n"


def _argument(term: Term) -> str:
    value = term.name
    if term.kind == "price":
        value = (
            f'_cents("{value}", {value})'
            if term.required
            else f'None if {value} is None else _cents("{value}", {value})'
        )
    return f'        "{term.name}": {value},\n'


PARTS = (
    Part(
        "docs/api.md",
        r"(?m)^\| .* \| labels, kept with the event \|$",
        f"| {', '.join(f'`{name}`' for name in LABELS)} | labels, kept with the event |",
    ),
    Part(
        "docs/api.md",
        r"(?<=`expires_at`, `idempotency_key`, ).*(?=, `import_id`, `test`\.)",
        ", ".join(f"`{name}`" for name in LABELS),
    ),
    Part("docs/import.md", r"(?m)^Labels: .*\.$", f"Labels: {', '.join(LABELS)}."),
    Part(
        "docs/ledger.md",
        r"(?m)(^\| \w+ \| .* \| label: .* \|\n)+",
        "".join(f"| {name} | {about.column} | label: {about.meaning}; or empty |\n" for name, about in ABOUT.items()),
    ),
    Part(
        "sdk/python/revgrid/calls.py",
        r"(?<=    timestamp: Time \| None = None,\n)(    \w+: str \| None = None,\n)+(?=    customer_id: str)",
        _lines("    {}: str | None = None,"),
    ),
    Part(
        "sdk/python/revgrid/calls.py",
        r'(?<="timestamp": timestamp,\n)(        "(\w+)": \2,\n)+(?=        "customer_id": customer_id,)',
        "".join(f'        "{name}": {name},\n' for name in LABELS),
    ),
    Part(
        "sdk/python/revgrid/models.py",
        r"(?<=    idempotency_key: Optional\[str\] = None\n)(    \w+: Optional\[str\] = None\n)+(?=    import_id: Opt)",
        _lines("    {}: Optional[str] = None"),
    ),
    Part(
        "sdk/js/index.d.ts",
        r"(?<=  timestamp\?: Time;\n)(  \w+\?: string;\n)+(?=  customer_id\?: string;)",
        _lines("  {}?: string;"),
    ),
    Part(
        "sdk/js/index.d.ts",
        r"(?<=  idempotency_key: string \| null;\n)(  \w+: string \| null;\n)+(?=  import_id: string)",
        _lines("  {}: string | null;"),
    ),
    Part(
        "docs/api.md",
        r"(?<=- `metadata`, `evidence`).*(?= are JSON objects of at most)",
        _listed([term.name for term in JSON_TERMS]),
    ),
    Part(
        "docs/api.md",
        r"(?<=\| `agent_id` \| required \|\n)(\| `\w+` \| .* \|\n)+(?=\| `expires_at` \| required; in the future)",
        "".join(map(_rule, TERMS)),
    ),
    Part(
        "docs/api.md",
        r'(?<="price_on_failure_cents": 0, )("\w+": \w+, )*(?="on_expiry": "failure",)',
        "".join(f'"{term.shown_as}": {FORMS[term.kind].absent}, ' for term in ADDED_TERMS),
    ),
    Part(
        "docs/ledger.md",
        r"(?m)(^\| \w+ \| .* \| term of a registered outcome: .* \|\n)+",
        "".join(
            f"| {term.name} | {COLUMN_TYPES[term.kind]} | term of a registered outcome: {term.meaning}"
            f"{FORMS[term.kind].column} |\n"
            for term in LEDGER_TERMS
        ),
    ),
    Part(
        "docs/sdk.md",
        r"(?<=\(`metadata`, `evidence`, ).*(?=\) is sent unchanged)",
        ", ".join(f"`{term.name}`" for term in JSON_TERMS),
    ),
    Part(
        "sdk/python/revgrid/calls.py",
        r"(?<=    agent_id: str,\n    expires_at: Time,\n)(    \w+: .*,\n)+(?=    on_expiry: str \| None = None,)",
        "".join(map(_parameter, TERMS)),
    ),
    Part(
        "sdk/python/revgrid/calls.py",
        r'(?<=        "expires_at": expires_at,\n)(        "\w+": .*,\n)+(?=        "on_expiry": on_expiry,)',
        "".join(map(_argument, TERMS)),
    ),
    Part(
        "sdk/python/revgrid/models.py",
        r"(?<=    action: Optional\[str\] = None\n)(    \w+: Optional\[.*\] = None\n)+(?=    on_expiry: Opt)",
        "".join(f"    {term.shown_as}: Optional[{FORMS[term.kind].python_shown}] = None\n" for term in TERMS),
    ),
    Part(
        "sdk/js/index.d.ts",
        r"(?<=  agent_id: string;\n  expires_at: Time;\n)(  \w+\??: \w+;\n)+",
        "".join(f"  {term.name}{'' if term.required else '?'}: {FORMS[term.kind].js};\n" for term in TERMS),
    ),
    Part(
        "sdk/js/index.d.ts",
        r"(?<=  action\?: string;\n)(  \w+\?: .*;\n)+(?=  on_expiry\?: .*\n  expires_at\?: )",
        "".join(f"  {term.shown_as}?: {FORMS[term.kind].js_shown};\n" for term in TERMS),
    ),
)
