"""The unit tests of revgrid for JavaScript, in node's own test runner."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SDK = HERE.parents[2] / "sdk" / "js"


def test_the_javascript_client_passes_its_tests() -> None:
    """client.test.mjs, of which every test is run."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("not run: node is absent")
    command = [node, "--test", "--test-reporter=tap", str(HERE / "client.test.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    written = len(re.findall(r"^ *test\(", (HERE / "client.test.mjs").read_text(), re.M))
    assert f"\n# pass {written + 3 * 3}\n" in done.stdout  # three stand in a loop over four calls


def test_the_types_tell_every_method_and_option() -> None:
    """index.d.ts names what index.js has, and no more."""
    code, types = (SDK / "index.js").read_text(), (SDK / "index.d.ts").read_text()
    methods = set(re.findall(r"^  (?:async )?([a-z]\w+)\(", code, re.M)) - {"constructor"}
    declared = types[types.index("export class Rev {") : types.index("export function verifyWebhook")]
    assert methods == set(re.findall(r"^  ([a-z]\w+)\(", declared, re.M)) - {"constructor"} and len(methods) == 21
    options = code[code.index("  constructor({") : code.index("  } = {}) {")]
    shown = types[types.index("export interface RevOptions") : types.index("export interface WriteOptions")]
    assert set(re.findall(r"^    (\w+) =", options, re.M)) == set(re.findall(r"^  (\w+)\?:", shown, re.M))
    assert set(re.findall(r"^export (?:class|const|function) (\w+)", code, re.M)) == set(
        re.findall(r"^export (?:class|const|function) (\w+)", types, re.M)
    )
