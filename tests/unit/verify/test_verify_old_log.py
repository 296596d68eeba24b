"""`rev verify` over the log of 6328046 and the ledger that it left: not one difference."""

from decimal import Decimal

from tests.old_log import by_partition, old_log
from tests.unit.verify.pricer_ledger import rows_of_record
from tools.verify.check import Check
from tools.verify.compare import Difference
from tools.verify.memory import MemoryLedger, MemoryRawLog
from tools.verify.sources import RawRecord, Selection


async def test_the_old_log_agrees_with_its_ledger() -> None:
    """Every row, keys and tasks that both modes used then included."""
    log = old_log()
    rows = [
        row
        for number, ((partition, _), record) in enumerate(log.entries.items())
        for row in rows_of_record(partition, number, record)
    ]
    raw = {p: [RawRecord(r.offset, r.at, r.key, r.value) for r in found] for p, found in by_partition(log.raw).items()}
    found: list[Difference] = []
    totals = await Check(MemoryRawLog(raw), MemoryLedger(rows), Selection(), found.append, patience=0, chunk=7).run()
    assert found == []
    assert totals.rows == len(rows) > 450
    assert totals.cents == sum((row["total_cents"] for row in rows), Decimal(0))
