"""Batches kept from one pass over a file for the next."""

import msgspec

from tools.importer.batches import BadRow, Batch
from tools.importer.event_maker import ImportEvent, Prepared
from tools.importer.kept_batches import KeptBatches


def batches(count: int) -> list[Batch]:
    event = ImportEvent(agent_id="a", action="chat", tokens=7, metadata={"n": msgspec.Raw(b"1.50")}, model="m")
    return [
        Batch(
            number,
            customer="acme",
            events=[Prepared(number, number + 1, event, at=5, total=7)],
            bad=[BadRow(9, 10, "tokens", "is missing", "k")],
            rows=2,
        )
        for number in range(count)
    ]


def test_every_pass_gives_the_same_batches() -> None:
    """Each pass makes its own events, so that one may change what it sends."""
    kept = KeptBatches()
    assert list(kept.keep(iter(batches(3)))) == batches(3)
    assert kept.complete
    first = list(kept)
    first[0].events[0].event.idempotency_key = "k#undo1"
    assert msgspec.json.encode(list(kept)) == msgspec.json.encode(batches(3))


def test_a_pass_that_was_not_finished_or_does_not_fit_is_not_kept() -> None:
    """Then the file is read again."""
    kept = KeptBatches()
    next(kept.keep(iter(batches(3))))
    assert not kept.complete
    kept = KeptBatches(limit=2 * len(msgspec.json.encode(batches(1)[0])))
    assert len(list(kept.keep(iter(batches(3))))) == 3
    assert not kept.complete


def test_what_is_not_utf8_is_not_kept() -> None:
    """The reason of a bad row may quote it."""
    kept = KeptBatches()
    bad = Batch(1, bad=[BadRow(1, 2, "caf\udce9", "is empty")], rows=1)
    assert list(kept.keep(iter([bad]))) == [bad]
    assert not kept.complete
