"""The batches of a file's first pass, encoded, so that later passes need not read its rows again. Pure."""

from collections.abc import Iterator

import msgspec

from tools.importer.batches import Batch

LIMIT = 96 << 20
"""Maximum bytes kept. A file with more rows than fit (about 400,000) is read again for every pass."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Batch).decode


class KeptBatches:
    """Batches, kept as JSON. ``complete``: all of one pass are kept."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.complete = False
        self._kept: list[bytes] = []
        self._limit, self._bytes = limit, 0

    def keep(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches, and keep them."""
        fits = True
        for batch in batches:
            fits = fits and self._add(batch)
            yield batch
        self.complete = fits

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over equal batches as often as needed. Requires that they are complete."""
        assert self.complete
        return map(_decode, self._kept)

    def _add(self, batch: Batch) -> bool:
        """Keep a batch; return False if that is not possible, and keep none."""
        try:
            kept = _encode(batch)
        except UnicodeEncodeError:  # the reason of a bad row may quote what is not UTF-8
            kept = b""
        self._bytes += len(kept)
        if not kept or self._bytes > self._limit:
            self._kept.clear()
            return False
        self._kept.append(kept)
        return True
