"""Runs the examples of the reference documents, as they stand there, against a running stack.

`examples/` holds their text, which test_texts.py holds against the reference. What is substituted is
listed in SUBSTITUTIONS and nowhere else; besides, the text dump of the reference had joined the lines
of some shell commands, so a backslash before a blank is given its line break back.
"""

import http.client
import json
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.reference.open_admin import OpenAdmin

EXAMPLES = Path(__file__).parent / "examples"
HOST = "https://rev.polsia.app"
KEYS = ("rg_your_api_key", "rg_your_key", "YOUR_API_KEY")
EXPIRES_AT, FUTURE = "2026-04-30T00:00:00Z", "2090-04-30T00:00:00Z"
SUBSTITUTIONS = "host; key; literal expires_at dates moved to the future; header-less admin calls with REV_OPEN_ADMIN=1"


def text(name: str, url: str, key: str) -> str:
    """An example with the host, the key and the date of an expiry replaced, and nothing else."""
    made = (EXAMPLES / name).read_text().replace(HOST, url).replace(EXPIRES_AT, FUTURE)
    for placeholder in KEYS:
        made = made.replace(placeholder, key)
    return made


def shell(open_admin: OpenAdmin, name: str) -> Any:
    """Run a curl example; returns its JSON with exact numbers."""
    script = re.sub(r"\\ (?=-)", "\\\\\n", text(name, open_admin.url, open_admin.key))
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout, parse_float=Decimal)


def node(open_admin: OpenAdmin, names: str, show: str) -> tuple[str, Any]:
    """Run JavaScript examples (names with blanks between them) as one program, then print the
    expression ``show``; returns stdout and the value."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("not run: node is absent")
    script = "\n".join(text(name, open_admin.url, open_admin.key) for name in names.split())
    script += f"\nconsole.log('\\n' + JSON.stringify({show}));\n"
    env = {"REVGRID_API_KEY": open_admin.key, "PATH": "/usr/bin:/bin"}
    prefix = f"globalThis.API_KEY = {json.dumps(open_admin.key)};\n" if "${API_KEY}" in script else ""
    done = subprocess.run(
        [program, "--input-type=module", "-e", prefix + script], capture_output=True, text=True, timeout=60, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(done.stdout.rstrip().splitlines()[-1], parse_float=Decimal)


def python(open_admin: OpenAdmin, name: str) -> str:
    """Run a Python example; returns what it prints."""
    script = text(name, open_admin.url, open_admin.key)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def raw(open_admin: OpenAdmin, name: str) -> tuple[int, Any]:
    """Send an example that is a request as HTTP has it; returns the status and the exact JSON."""
    head, body = text(name, open_admin.url, open_admin.key).split("\n\n", 1)
    first, *lines = head.splitlines()
    method, path = first.split()
    headers = dict(line.split(": ", 1) for line in lines)
    connection = http.client.HTTPConnection(open_admin.url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body.encode(), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read(), parse_float=Decimal)
    finally:
        connection.close()


def holds(answer: Any, example: Any) -> None:
    """The answer has every field of the example's answer, with values of the same kind."""
    if isinstance(example, dict):
        assert isinstance(answer, dict)
        for name, value in example.items():
            assert name in answer, f"{name} is missing in {answer}"
            holds(answer[name], value)
    elif isinstance(example, list):
        assert isinstance(answer, list) and answer
        holds(answer[0], example[0])
    elif isinstance(example, bool) or example is None:
        assert answer is None or isinstance(answer, bool)
    elif isinstance(example, int | Decimal):
        assert isinstance(answer, int | Decimal) and not isinstance(answer, bool)
    else:
        assert isinstance(answer, type(example))
