"""The command line: what a person reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import cli
from deploy.supervisor.plan import SERVICES
from deploy.supervisor.screen import curl


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`rev --help` lists each command with what it is for."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(name in text for name in ("up", "status", "init", *SERVICES, "import", "verify"))


def test_a_setting_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    """Exit code 2 and one line that names the variable, before anything is started."""
    for env, words in [
        ({"REV_REPLY_TIMEOUT": "2"}, "REV_REPLY_TIMEOUT='2'"),
        ({"REV_KAFKA": "127.0.0.1:1"}, "only REV_KAFKA is set"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "deploy.cli", "up", "--data", str(tmp_path / "data"), "--http", "0"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr and done.stderr.count("\n") == 1
        assert not (tmp_path / "data").exists()


def test_help_loads_no_service() -> None:
    """`rev` is quick because a command's code is loaded when it runs."""
    heavy = "aiokafka aiohttp rich chdb jgo ingest pricer ledger expirer notifier streams"
    script = f"import sys, deploy.cli; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_printed_command_survives_odd_paths() -> None:
    """What `rev up` prints can be pasted whatever the data directory is called."""
    text = curl("http://127.0.0.1:8080", Path("/some where/it's/demo.key"))
    assert "\n" not in text and text.startswith(r"curl -sSw '\n' http://127.0.0.1:8080/v1/meter ")
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
