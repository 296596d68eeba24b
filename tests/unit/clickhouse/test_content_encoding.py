"""Content encodings: what a client compressed comes out, and broken bodies are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.clickhouse import compression
from deploy.clickhouse.errors import ClickHouseError


def squeezed(encoding: str, pieces: list[bytes]) -> bytes:
    encoder = compression.encoder(encoding)
    return b"".join([encoder.compress(piece) for piece in pieces]) + encoder.flush()


@pytest.mark.parametrize("encoding", compression.ENCODINGS)
@given(frames=st.lists(st.lists(st.binary(max_size=200), max_size=3), min_size=1, max_size=3), cut=st.integers(1, 50))
def test_frames_come_back(encoding: str, frames: list[list[bytes]], cut: int) -> None:
    """Frames behind each other, cut anywhere, give what went in."""
    body = b"".join(squeezed(encoding, frame) for frame in frames)
    decoder = compression.Decoder(encoding)
    found = b"".join(decoder.feed(body[at : at + cut]) for at in range(0, len(body), cut))
    decoder.finish()
    assert found == b"".join(piece for frame in frames for piece in frame)


@pytest.mark.parametrize("encoding", compression.ENCODINGS)
def test_a_cut_body_is_refused(encoding: str) -> None:
    """A body that ends inside a frame, or is no frame, is an error of its sender."""
    decoder = compression.Decoder(encoding)
    decoder.feed(squeezed(encoding, [b"x" * 1000])[:-3])
    with pytest.raises(ClickHouseError, match="271"):
        decoder.finish()
    with pytest.raises(ClickHouseError, match="271"):
        compression.Decoder(encoding).feed(b"SELECT 1 is no frame")


def test_names() -> None:
    """Unknown encodings are refused; identity is no encoding; the best known one is chosen."""
    with pytest.raises(ClickHouseError, match="Unknown compression"):
        compression.Decoder("br")
    assert compression.Decoder("identity").feed(b"x") == b"x"
    assert compression.accepted("br, gzip;q=0.5, zstd") == "zstd"
    assert compression.accepted("br") is None
