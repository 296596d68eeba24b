"""The command line: what a person reads."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.supervisor.plan import SERVICES
from deploy.supervisor.screen import curl
from tools import cli


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
        (
            {"REV_REPLY_TIMEOUT": "2"},
            "REV_REPLY_TIMEOUT must be an integer and one of ms, s, m, h, d, such as 35d, not '2'",
        ),
        ({"REV_KAFKA": "127.0.0.1:1"}, "only REV_KAFKA is set"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "tools.cli", "up", "--data", str(tmp_path / "data"), "--http", "0"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr and done.stderr.count("\n") == 1
        assert not (tmp_path / "data").exists()


def test_dialects_are_listed_with_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    """`rev dialects`: each name, the header of the key, and every path."""
    assert cli.main(["dialects"]) == 0
    text = capsys.readouterr().out
    assert "openmeter  OpenMeter" in text and "  POST  /lago/api/v1/events/batch\n" in text
    assert "{url}" not in text and "http://127.0.0.1:8080/openmeter" in text


def test_help_loads_no_service() -> None:
    """`rev` is quick because a command's code is loaded when it runs."""
    heavy = "aiokafka aiohttp rich chdb jgo ingest pricer ledger expirer notifier collector streams"
    script = f"import sys, tools.cli; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_printed_command_survives_odd_paths() -> None:
    """What `rev up` prints can be pasted whatever the data directory is called."""
    text = curl("http://127.0.0.1:8080", Path("/some where/it's/demo.key"))
    assert "\n" not in text and text.startswith(r"curl -sSw '\n' http://127.0.0.1:8080/v1/meter ")
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


TAKEN = "the port that the test listens on"
MISTAKES: list[tuple[list[str], dict[str, str], str]] = [
    (["up", "--data", "a-file"], {}, "a-file cannot be the data directory (File exists); name another: --data DIR"),
    (["up", "--data", "a-file/below"], {}, "a-file/below cannot be the data directory (Not a directory)"),
    (
        ["up", "--data", "damaged", "--http", "0", "--kafka", "0", "--clickhouse", "0"],
        {},
        "run.json is damaged; remove",
    ),
    (
        ["up", "--data", "new", "--http", "5000", "--kafka", "5000"],
        {},
        "--http, --kafka and --clickhouse must be different ports",
    ),
    (["up", "--data", "new", "--http", "80000"], {}, "--http must be an integer from 0 to 65535, not '80000'"),
    (
        ["up", "--data", "new"],
        {"REV_SECRET_KEY": "short"},
        "REV_SECRET_KEY must be base64 of 32 bytes; create one with",
    ),
    (["status", "--data", "damaged"], {}, "run.json is damaged; remove it when no `rev up` runs there"),
    (["init"], {}, "no Kafka answers at 127.0.0.1:1; start it, or set REV_KAFKA"),
    (["gateway"], {"REV_HTTP_PORT": TAKEN}, "(Address already in use); set REV_HTTP_PORT to a free port"),
    (["gateway"], {"REV_HTTP_HOST": "192.0.2.1"}, "(Cannot assign requested address); set REV_HTTP_PORT"),
    (["gateway"], {"REV_SECRET_KEY": "short"}, "REV_SECRET_KEY must be base64 of 32 bytes"),
    *[
        ([name], {"REV_METRICS_PORT": TAKEN}, "(Address already in use); set REV_METRICS_PORT to a free port")
        for name in ("pricer", "ledger", "expirer", "notifier", "collector")
    ],
    (["web"], {"REV_WEB_PORT": TAKEN}, "(Address already in use); set REV_WEB_PORT to a free port"),
    (
        ["ledger"],
        {"REV_CLICKHOUSE_URL": "clickhouse"},
        "REV_CLICKHOUSE_URL must be of the form http://HOST:PORT, not 'clickhouse'",
    ),
    (["invoices", "run", "--month", "2026-11"], {}, "--token is required: the admin token (or REV_ADMIN_TOKEN)"),
    (["invoices", "run", "--month", "2026-11", "--token", "t"], {}, "no gateway answers at http://127.0.0.1:1"),
    (["import", "absent.csv"], {}, "absent.csv cannot be read: No such file or directory"),
    (["import", "empty.csv"], {}, "empty.csv: it has no header line"),
    (["import", "usage.csv", "--url", "somewhere"], {}, "--url must be of the form http://HOST:PORT, not 'somewhere'"),
    (["webhooks", "listen", "--url", "somewhere"], {}, "--url must be of the form http://HOST:PORT, not 'somewhere'"),
    (["webhooks", "listen", "--port", "80000"], {}, "--port must be an integer from 0 to 65535, not '80000'"),
    (["webhooks", "listen"], {}, "no gateway answers at http://127.0.0.1:1 (Connect call failed"),
    (["verify"], {}, "no Kafka answers at 127.0.0.1:1; start it, or set REV_KAFKA or --data"),
    (["verify", "--data", "empty"], {}, "run.json does not exist: start `rev up`, set --data, or set REV_KAFKA"),
    (["verify", "--data", "damaged"], {}, "does not say where Kafka and ClickHouse are; start `rev up` again"),
]


@pytest.mark.parametrize(("arguments", "env", "words"), MISTAKES, ids=lambda value: " ".join(value)[:40])
def test_a_common_mistake_is_one_sentence(
    arguments: list[str], env: dict[str, str], words: str, tmp_path: Path
) -> None:
    """What is wrong and what to do, no traceback, and an exit code that a script can see."""
    (tmp_path / "a-file").touch()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "usage.csv").write_text("action\ncompletion\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{")
    nobody = "http://127.0.0.1:1"
    alone = {"REV_KAFKA": "127.0.0.1:1", "REV_CLICKHOUSE_URL": nobody, "REV_URL": nobody, "REV_API_KEY": "rg_1"}
    if arguments[0] == "up":
        alone = {}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "tools.cli", *arguments],
            env={**os.environ, **alone, **{name: port if value is TAKEN else value for name, value in env.items()}},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    # a service logs as JSON before it ends, and the first `rev up` of a machine says what it prepares
    said = [line for line in done.stderr.splitlines() if not line.startswith(("{", "Recording a start of Kafka"))]
    assert done.returncode in (1, 2)
    assert len(said) == 1 and said[0].startswith(f"rev {arguments[0]}: ") and words in said[0], done.stderr
