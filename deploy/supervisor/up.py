"""The life of a `rev up`: lock the directory, start, bootstrap, report, keep up, stop in order."""

import asyncio
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy import children
from deploy.clickhouse import users
from deploy.clickhouse.users import Role, User
from deploy.supervisor import demo_key, directory, plan
from deploy.supervisor.group import Group, NotReady
from deploy.supervisor.screen import Screen
from schemas.settings import Settings


def run(settings: Settings, wanted: Mapping[str, int], env: Mapping[str, str], screen: Screen) -> int:
    """Run everything until SIGTERM or Ctrl-C; return the exit code.

    ``wanted``: ports by name, 0 = free. Raises SettingError and directory.Occupied before anything starts.
    """
    embedded = plan.is_embedded(env)
    with directory.owned(settings.data):
        screen.starting(settings.data)
        directory.end_orphan(directory.read_json(settings.data / directory.RUN))
        (settings.data / directory.RUN).unlink(missing_ok=True)
        if embedded:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            settings = settings._replace(partitions=plan.shards(settings.data, settings, env, cores))
        rng = random.Random()
        made = plan.make(settings, plan.choose_ports(settings.data, wanted, rng), env, rng)
        token = directory.kept_secret(settings.data / "admin.token", settings.admin_token)
        # 32 random bytes as base64; they encrypt webhook secrets
        settings = settings._replace(
            secret_key=directory.kept_secret(settings.data / "secret.key", settings.secret_key)
        )
        return asyncio.run(Up(made, settings, token, screen).run())


class Up:
    def __init__(self, made: plan.ProcessPlan, settings: Settings, token: str, screen: Screen) -> None:
        self._plan, self._settings, self._token, self._screen = made, settings, token, screen
        self._group = Group(made.specs, made.data / "logs", time.monotonic, self._changed)
        self._users = self._engine_users() if made.embedded else {}
        self._told = self._is_up = False
        self._since: dict[int, float] = {}

    async def run(self) -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        supervising = self._group.start()
        bringing = asyncio.create_task(self._bring_up())
        waiting: set[asyncio.Future[Any]] = {asyncio.create_task(stop.wait()), bringing, supervising}
        try:
            while not stop.is_set():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
            return 0
        except NotReady as error:
            self._screen.failed(str(error))
            return 1
        finally:
            bringing.cancel()
            await asyncio.wait([bringing])
            self._screen.stopping()
            await self._group.stop()
            (self._plan.data / directory.RUN).unlink(missing_ok=True)
            self._screen.stopped()

    async def _bring_up(self) -> None:
        began = time.monotonic()
        init = await self._held_init()
        if self._plan.embedded:
            await self._ready("kafka", began)
        await self._initialize(init)
        self._group.release(self._environment())
        self._told = True
        self._write()
        await asyncio.gather(*(self._ready(name, began) for name in self._group.children if name != "kafka"))
        key_file = await asyncio.to_thread(demo_key.ensure, self._plan.data, self._plan.http, self._token)
        self._is_up = True
        self._write()
        self._screen.up(self._plan, self._settings, key_file, time.monotonic() - began)

    def _engine_users(self) -> dict[str, User]:
        """Return the embedded engine's users; create them now if need be, so that nothing waits for its start."""
        where = self._plan.data / "clickhouse"
        where.mkdir(exist_ok=True, mode=0o700)
        return users.load(where / "users.json")

    async def _ready(self, name: str, began: float) -> None:
        spec = self._group.children[name].spec
        await self._group.ready(name, spec.within)
        self._screen.ready(name, spec.address, time.monotonic() - began)

    def _environment(self) -> dict[str, str]:
        """Return the variables for the services, which override their inherited environment."""
        told = {
            "REV_KAFKA": self._plan.kafka,
            "REV_CLICKHOUSE_URL": self._plan.clickhouse,
            "REV_DATA": str(self._plan.data),
            "REV_ADMIN_TOKEN": self._token,
            "REV_SECRET_KEY": self._settings.secret_key,
            "REV_PARTITIONS": str(self._settings.partitions),
        }
        if self._users:
            user = user_of(self._users, "rw")
            told |= {"REV_CLICKHOUSE_USER": user[0], "REV_CLICKHOUSE_PASSWORD": user[1]}
        return told

    async def _held_init(self) -> asyncio.subprocess.Process:
        """Start `rev init`, which loads its code while Kafka starts and then waits for its settings."""
        with self._init_log.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *plan.rev("init", "--held"),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                preexec_fn=children.die_with(os.getpid()),
            )

    async def _initialize(self, init: asyncio.subprocess.Process) -> None:
        await init.communicate(json.dumps(self._environment()).encode() + b"\n")
        if init.returncode:
            lines = self._init_log.read_text().strip().splitlines()
            raise NotReady(lines[-1] if lines else f"rev init ended with code {init.returncode}")

    @property
    def _init_log(self) -> Path:
        return self._plan.data / "logs" / "init.log"

    def _changed(self, sentence: str) -> None:
        self._since = {pid: self._since.get(pid, time.time()) for pid in self._group.pids.values()}
        if sentence:
            self._screen.changed(sentence)
        if self._told:
            try:
                self._write()
            except OSError as error:  # a full disk must not end the supervision
                self._screen.changed(f"{directory.RUN} is out of date: {error}")

    def _write(self) -> None:
        directory.write_json(self._plan.data / directory.RUN, self._contents())

    def _contents(self) -> dict[str, Any]:
        """Return the contents of run.json.

        ``births`` and ``since`` (Unix seconds) belong to the pids. ``up`` is true once everything was ready
        for the first time.
        """
        pids = self._group.pids
        return {
            "http": self._plan.http,
            "kafka": self._plan.kafka,
            "clickhouse": self._plan.clickhouse,
            "analyst": list(user_of(self._users, "ro")) if self._users else None,
            "pids": pids,
            "restarts": self._group.restarts,
            "since": {name: self._since[pid] for name, pid in pids.items()},
            "births": {name: directory.birth(pid) for name, pid in pids.items()},
            "addresses": {name: child.spec.address for name, child in self._group.children.items()},
            "supervisor": os.getpid(),
            "up": self._is_up,
        }


def user_of(known: Mapping[str, User], role: Role) -> tuple[str, str]:
    """Return the name and password of the engine's user with the role."""
    return next((user.name, user.password) for user in known.values() if user.role == role)
