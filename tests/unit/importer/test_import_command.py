"""`rev import` against a gateway in memory, from the command line to the exit code."""

from pathlib import Path

import pytest

from tests.shared import beside
from tests.unit.importer.serving import Lines, Serving
from tools.importer import command

AZURE = "data/azure_llm_code.csv"


def usage(path: Path, rows: int) -> Path:
    path.write_text("tokens_in,tokens_out\n" + "".join(f"{i},{i % 7}\n" for i in range(rows)))
    return path


def cents(rows: int) -> int:
    """Pico-cents of what `usage` writes, as action completion, added up by hand."""
    return rows * 500_000_000_000 + sum(i + i % 7 for i in range(rows)) * 300_000_000


SET = ("--set", "action=completion")


def test_the_azure_trace_comes_to_its_exact_total(
    serving: Serving, capsys: pytest.CaptureFixture[str], told: Lines
) -> None:
    """8,819 rows are 8,819 events and 9901.261 cents, and a second import adds nothing."""
    azure = beside(AZURE)
    assert serving.run(azure, *SET) == 0
    summary = told(capsys.readouterr().out)
    assert (summary["rows"], summary["imported"], summary["bad"]) == ("8,819", "8,819", "0")
    assert (summary["total_cents"], summary["dollars"]) == ("9901.261", "99.01261")
    assert (len(serving.gateway.charged), serving.gateway.pico) == (8819, 9_901_261_000_000_000)
    serving.gateway.forget()
    batches = serving.gateway.batches
    assert serving.run(azure, *SET) == 0
    summary = told(capsys.readouterr().out)
    assert (summary["imported"], summary["already there"], summary["total_cents"]) == ("0", "8,819", "0")
    assert len(serving.gateway.charged) == 8819
    assert serving.gateway.batches == batches, "a file that is all there must not be sent again"


def test_faults_are_repeated_until_every_row_is_charged_once(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: Lines, quick: None
) -> None:
    """503 of both kinds, 429, 202 and a closed connection end in one charge for each row."""
    serving.gateway.faults = ["not_recorded", "unknown", "drop", "accepted", "busy", None, "unknown", "accepted"]
    assert serving.run(usage(tmp_path / "a.csv", 3500), *SET) == 0
    summary = told(capsys.readouterr().out)
    assert (summary["imported"], summary["already there"]) == ("3,500", "0")
    assert serving.gateway.pico == cents(3500)
    assert summary["total_cents"] == f"{cents(3500) / 10**12:.4f}".rstrip("0").rstrip(".")


def test_an_import_that_was_cut_off_is_completed_by_repeating_it(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: Lines
) -> None:
    """Batches with holes between them, the window long past: only what is missing is sent."""
    path = usage(tmp_path / "a.csv", 5000)
    assert serving.run(path, *SET) == 0
    kept = serving.gateway.charged
    rows = {int(e["idempotency_key"].rpartition("/")[2]) for e in kept}
    assert rows == set(range(1, 5001))
    for event in kept:  # as if batches 2 and 4 had never been charged
        if (int(event["idempotency_key"].rpartition("/")[2]) - 1) // 1000 in (1, 3):
            event["idempotency_key"] = "gone"
    serving.gateway.charged = [event for event in kept if event["idempotency_key"] != "gone"]
    serving.gateway.forget()
    capsys.readouterr()
    assert serving.run(path, *SET) == 0
    summary = told(capsys.readouterr().out)
    assert (summary["imported"], summary["already there"]) == ("2,000", "3,000")
    assert serving.gateway.pico == cents(5000)


def test_a_lagging_ledger_is_covered_by_the_keys(
    serving: Serving,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    told: Lines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the ledger does not show yet is sent again, answered as replayed, and told as there."""
    monkeypatch.setattr(command, "SHOWN_PAUSE", 0)  # it will not show it, however long one waits
    serving.gateway.lag = 1_000_000
    path = usage(tmp_path / "a.csv", 2500)
    assert serving.run(path, *SET) == 0
    capsys.readouterr()
    assert serving.run(path, *SET) == 0
    summary = told(capsys.readouterr().out)
    assert (summary["imported"], summary["already there"]) == ("0", "2,500")
    assert serving.gateway.pico == cents(2500)


def test_bad_rows_are_told_and_the_rest_imported(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: Lines
) -> None:
    """Exit 1, each bad row by line and column, whether the importer or the server refused it."""
    path = tmp_path / "a.csv"
    path.write_text("tokens,action\n1,chat\n2400.0,chat\n3,mystery\n4,completion\n5,mystery\n")
    assert serving.run(path) == 1
    output = capsys.readouterr()
    assert "line 3 (row 2), column tokens: '2400.0' is not an integer" in output.err
    assert "line 4 (row 3): no price for action 'mystery'" in output.err
    summary = told(output.out)
    assert (summary["rows"], summary["imported"], summary["bad"]) == ("5", "2", "3")
    serving.gateway.forget()
    assert serving.run(path) == 1
    assert len(serving.gateway.charged) == 2


def test_rows_that_get_a_price_later_are_added_by_a_second_import(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: Lines
) -> None:
    """A batch of which the server refused an action is completed, not doubled, months later."""
    path = tmp_path / "a.csv"
    path.write_text("tokens,action\n5,mystery\n1,chat\n2,chat\n3,mystery\n")
    assert serving.run(path) == 1
    serving.gateway.forget()
    serving.gateway.prices["mystery"] = (10**12, 0)
    capsys.readouterr()
    assert serving.run(path) == 0
    summary = told(capsys.readouterr().out)
    assert (summary["imported"], summary["already there"], summary["total_cents"]) == ("2", "2", "2")
    assert len(serving.gateway.charged) == 4


def test_the_same_file_with_other_settings_is_refused(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was imported as one action is not imported as another, with or without lag."""
    path = usage(tmp_path / "a.csv", 10)
    assert serving.run(path, *SET) == 0
    assert serving.run(path, "--set", "action=chat") == 2
    assert "imported before with action 'completion', now it has 'chat'" in capsys.readouterr().err
    assert len(serving.gateway.charged) == 10


def test_a_conflict_that_only_moved_a_time_is_already_there(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: Lines, quick: None
) -> None:
    """A row whose time left the window between two imports is recognised in spite of its new body."""
    path = tmp_path / "a.csv"
    path.write_text("tokens,created_at\n5,2001-01-01\n")
    assert serving.run(path, "--set", "action=chat") == 0
    for body, _ in serving.gateway._remembered.values():
        body["timestamp"] = body.pop("metadata")["source_time"]
    serving.gateway.charged[0]["seen"] += 4  # not shown to the first probe, so that the batch is sent
    capsys.readouterr()
    assert serving.run(path, "--set", "action=chat") == 0
    assert told(capsys.readouterr().out)["already there"] == "1"


def test_a_time_that_the_server_refuses_is_kept_as_metadata(serving: Serving, tmp_path: Path) -> None:
    """With a shorter window on the server the row is charged all the same."""
    serving.gateway.refuse_times = True
    path = tmp_path / "a.jsonl"
    path.write_text('{"tokens": 5, "timestamp": "2001-01-01T00:00:00Z"}\n')
    assert serving.run(path, "--set", "action=chat") == 0
    assert serving.gateway.charged[0]["metadata"] == {"source_time": "2001-01-01T00:00:00.000Z"}


def test_a_batch_that_is_too_large_for_the_server_is_halved(serving: Serving, tmp_path: Path) -> None:
    """413 halves the batch until it fits; every row is charged once."""
    serving.gateway.max_body = 20_000
    assert serving.run(usage(tmp_path / "a.csv", 1000), *SET) == 0
    assert serving.gateway.pico == cents(1000)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--key", "rg_wrong", *SET), "401"),
        (("--map", "tokens=nothing", *SET), "no column 'nothing'"),
        ((), "--set action="),
        (("--tz", "Nowhere", *SET), "--tz"),
        ((*SET, "--set", "tokenz=5"), "is not a field"),
        ((*SET, "--in-flight", "0"), "--in-flight"),
    ],
)
def test_what_cannot_be_done_exits_2_and_says_why(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], why: str
) -> None:
    """Nothing is charged, and the reason is on stderr."""
    assert serving.run(usage(tmp_path / "a.csv", 5), *options) == 2
    assert why in capsys.readouterr().err
    assert not serving.gateway.charged


def test_a_gateway_that_is_not_there_exits_2(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], quick: None
) -> None:
    """After the patience is over the import says who did not answer."""
    serving.gateway.faults = ["not_recorded"] * 100_000
    assert serving.run(usage(tmp_path / "a.csv", 5), *SET, "--patience", "0") == 2
    assert "has not answered for 0 s" in capsys.readouterr().err


def test_the_default_agent_and_ignored_columns_are_told(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary says what was assumed."""
    path = tmp_path / "a.csv"
    path.write_text("tokens,cost,region\n5,1.5,eu\n6,1.5,us\n")
    assert serving.run(path, *SET) == 0
    output = capsys.readouterr().out
    assert "agent_id is import where no column gives one" in output
    assert output.count("cost, region") == 1
