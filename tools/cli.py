"""The command `rev`. Each subcommand imports what it needs when it runs, so that `rev` starts quickly."""

import argparse
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from schemas.settings import SettingError, Settings, read, whole

DESCRIPTION = "Revenue infrastructure for AI agents: events in, an exact committed price back, an auditable ledger."
SETTINGS = "Settings are environment variables named REV_*; see docs/operations.md."
EPILOG = f"{SETTINGS} `rev COMMAND --help` says more."
INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells."""


class Command(NamedTuple):
    summary: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit code. 2 means settings or arguments that cannot be used."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    parsed = _parser(chosen).parse_args(arguments)
    # failures are raised as exceptions and reported in this program's own words
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return COMMANDS[parsed.command].run(parsed)
    except SettingError as error:
        print(f"rev {parsed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"rev {parsed.command}: stopped", file=sys.stderr)
        return INTERRUPTED


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rev", description=DESCRIPTION, epilog=EPILOG)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sub = subparsers.add_parser(name, help=command.summary, description=command.summary, epilog=SETTINGS)
        if name == chosen:  # import what its arguments depend on only if it was chosen
            command.configure(sub)
    return parser


def _data(parser: argparse.ArgumentParser) -> None:
    default = Path(os.environ.get("REV_DATA") or "rev-data")
    parser.add_argument("--data", type=Path, default=default, metavar="DIR", help=f"data directory ({default})")


def _configure_up(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    parser.add_argument("--http", metavar="PORT", help="port of the API (8080); 0 picks a free one and keeps it")
    parser.add_argument("--kafka", metavar="PORT", help="port of the embedded Kafka (9092); 0 picks a free one")
    parser.add_argument(
        "--clickhouse", metavar="PORT", help="port of the embedded ClickHouse (8123); 0 picks a free one"
    )


def _up(arguments: argparse.Namespace) -> int:
    from deploy.supervisor import command

    settings = read(os.environ)._replace(data=arguments.data.absolute())
    http = arguments.http or os.environ.get("REV_HTTP_PORT") or "8080"
    wanted = {
        "http": whole("--http", http, 0, 65535),
        "kafka": whole("--kafka", arguments.kafka or "9092", 0, 65535),
        "clickhouse": whole("--clickhouse", arguments.clickhouse or "8123", 0, 65535),
    }
    named = [port for port in wanted.values() if port]
    if len(named) > len(set(named)):
        raise SettingError("--http, --kafka and --clickhouse must be different ports")
    return command.up(settings, wanted)


def _status(arguments: argparse.Namespace) -> int:
    from deploy.supervisor import command

    return command.status(arguments.data.absolute())


def _configure_service(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--held", action="store_true", help=argparse.SUPPRESS)


def _settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings from the environment. With --held, first read the rest of them from the
    supervisor's line on standard input."""
    if arguments.held:
        line = sys.stdin.readline()
        if not line:
            raise SettingError("--held: the supervisor has ended")
        os.environ.update(json.loads(line))
    return read(os.environ)


def _init(arguments: argparse.Namespace) -> int:
    import asyncio

    from aiokafka.errors import KafkaConnectionError, KafkaError

    from deploy import bootstrap

    settings = _settings(arguments)
    try:
        epoch = asyncio.run(bootstrap.ensure(settings))
    except KafkaConnectionError:
        print(f"rev init: no Kafka answers at {settings.kafka}; start it, or set REV_KAFKA", file=sys.stderr)
        return 1
    except (bootstrap.BootstrapError, KafkaError) as error:
        print(f"rev init: {error}", file=sys.stderr)
        return 1
    print(f"ready: {settings.kafka}, log {epoch}")
    return 0


def _service(package: str, summary: str) -> Command:
    """Return the command that runs a service."""

    def run(arguments: argparse.Namespace) -> int:
        from deploy.hidden_modules import hidden

        with hidden("rich"):  # structlog imports it for terminals; services log JSON, and it is 3 MB and 0.1 s of each
            importlib.import_module("structlog")
        importlib.import_module(f"{package}.service").main(_settings(arguments))
        return 0

    return Command(summary, _configure_service, run)


def _configure_import(parser: argparse.ArgumentParser) -> None:
    from tools import importer

    importer.configure(parser)


def _import(arguments: argparse.Namespace) -> int:
    from streams import garbage
    from tools import importer

    garbage.scan_less()
    return importer.run(arguments, importer.on_terminal())


def _configure_imports(parser: argparse.ArgumentParser) -> None:
    from tools import importer

    importer.configure_list(parser)


def _imports(arguments: argparse.Namespace) -> int:
    from tools import importer

    return importer.run_list(arguments)


def _configure_invoices(parser: argparse.ArgumentParser) -> None:
    from tools import invoice_command

    invoice_command.configure(parser)


def _invoices(arguments: argparse.Namespace) -> int:
    from tools import invoice_command

    return invoice_command.run(arguments)


def _configure_reconcile(parser: argparse.ArgumentParser) -> None:
    from tools import reconcile_command

    reconcile_command.configure(parser)


def _reconcile(arguments: argparse.Namespace) -> int:
    from tools import reconcile_command

    return reconcile_command.run(arguments)


def _configure_export(parser: argparse.ArgumentParser) -> None:
    from tools.exporter import command

    command.configure(parser)


def _export(arguments: argparse.Namespace) -> int:
    from tools.exporter import command

    return command.run(arguments)


def _configure_verify(parser: argparse.ArgumentParser) -> None:
    from tools import verify

    verify.configure(parser)


def _verify(arguments: argparse.Namespace) -> int:
    from tools import verify

    return verify.run(arguments)


def _configure_webhooks(parser: argparse.ArgumentParser) -> None:
    from tools import listen

    listen.configure(parser)


def _webhooks(arguments: argparse.Namespace) -> int:
    from tools import listen

    return listen.run(arguments)


def _dialects(arguments: argparse.Namespace) -> int:
    from ingest.dialects.catalog import listed

    print(listed(), end="")
    return 0


COMMANDS = {
    "up": Command("start everything on this machine and run it until Ctrl-C", _configure_up, _up),
    "status": Command("show what runs on a data directory", _data, _status),
    "init": Command("prepare a Kafka cluster: topics, the log's epoch, default prices", _configure_service, _init),
    "gateway": _service("ingest", "run a gateway: the HTTP API"),
    "pricer": _service("pricer", "run a pricer: price every command of its shards exactly once"),
    "ledger": _service("ledger", "run a ledger writer: write every entry to ClickHouse exactly once"),
    "expirer": _service("expirer", "run an expirer: close outcomes that are due"),
    "notifier": _service("notifier", "run a notifier: deliver signed webhooks and retry them"),
    "collector": _service("collector", "run a collector: make invoices from the ledger"),
    "web": _service("web", "run the pages: dashboard, login and dashboard data"),
    "dialects": Command("list the clients of other products that can send to Rev", lambda _: None, _dialects),
    "import": Command("send events from a file", _configure_import, _import),
    "imports": Command("list imports with their totals", _configure_imports, _imports),
    "invoices": Command("make the invoices of a month, or show them", _configure_invoices, _invoices),
    "reconcile": Command("compare ledger, invoices and Stripe", _configure_reconcile, _reconcile),
    "export": Command("write a month's entries, invoices and journal to files", _configure_export, _export),
    "webhooks": Command("receive this machine's webhooks and print them", _configure_webhooks, _webhooks),
    "verify": Command("price the log again and compare it with the ledger", _configure_verify, _verify),
}

if __name__ == "__main__":
    sys.exit(main())
