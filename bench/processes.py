"""CPU time and memory of the processes of a `rev up`, read from /proc."""

import os
from pathlib import Path

from bench.running_stack import RunningStack

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of one process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid: int) -> float:
    """Return the proportional set size: shared pages count once over all processes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss for {pid}")


def peak_mib(pid: int) -> float:
    """Return the peak resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise ValueError(f"no VmHWM for {pid}")


def pids(running: RunningStack) -> dict[str, int]:
    """Return every process of the product by name, including the supervisor."""
    return {**{str(k): int(v) for k, v in running.run["pids"].items()}, "supervisor": running.process.pid}


def cpu(running: RunningStack) -> dict[str, float]:
    return {name: cpu_seconds(pid) for name, pid in pids(running).items()}


def memory(running: RunningStack) -> dict[str, float]:
    return {name: round(memory_mib(pid), 1) for name, pid in pids(running).items()}
