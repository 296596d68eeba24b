"""A bucket of S3 as the place of an export. Credentials, region and endpoint are those of the AWS_… variables."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from schemas.settings import SettingError
from tools.exporter.destinations import S3, ExportedFile, ExportError, FileDigest, Stored

if TYPE_CHECKING:
    from obstore.store import S3Store


class Bucket:
    """The objects under one prefix. An object is there when all of it is."""

    def __init__(self, store: "S3Store", where: str) -> None:
        from obstore.exceptions import BaseError

        self._errors = (BaseError, FileNotFoundError, PermissionError)
        self._store = store
        self._where = where
        self._read_etag: str | None = None

    def read(self, name: str) -> bytes | None:
        try:
            found = self._store.get(name)
            self._read_etag = found.meta["e_tag"]
            return bytes(found.bytes())
        except FileNotFoundError:
            self._read_etag = None
            return None
        except self._errors as error:
            raise self._failed(name, error) from error

    def write(self, name: str, chunks: Iterable[bytes]) -> Stored:
        digest = FileDigest()
        try:
            made = self._store.put(name, digest.of(chunks))
        except self._errors as error:  # what the chunks raise is not of S3
            raise self._failed(name, error) from error
        return Stored(digest.size, digest.sha256, made["e_tag"] or "")

    def replace(self, name: str, body: bytes) -> None:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            made = self._store.put(name, body, mode={"e_tag": self._read_etag} if self._read_etag else "create")
        except (AlreadyExistsError, PreconditionError) as error:
            raise ExportError(
                f"another export wrote {self.where(name)} in the meantime; let one run at a time, and repeat it"
            ) from error
        except self._errors as error:
            raise self._failed(name, error) from error
        self._read_etag = made["e_tag"]

    def is_intact(self, file: ExportedFile) -> bool:
        try:
            found = self._store.head(file.name)
        except FileNotFoundError:
            return False
        except self._errors as error:
            raise self._failed(file.name, error) from error
        return found["size"] == file.bytes and found["e_tag"] == file.etag

    def where(self, name: str) -> str:
        return f"{self._where}/{name}"

    def close(self) -> None: ...

    def _failed(self, name: str, error: Exception) -> ExportError:
        """Return the error of a request; the first line of S3's words has no credentials."""
        words = (str(error) or repr(error)).splitlines()[0][:300]
        return ExportError(f"{self.where(name)} cannot be read or written: {words}")


def open_bucket(to: str, month: str) -> Bucket:
    """Return the place s3://BUCKET/PREFIX/YYYY-MM; it connects only at the first request. Raises SettingError."""
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise SettingError("--to s3://… needs obstore; install it with pip install obstore") from None
    bucket, _, prefix = to.removeprefix(S3).partition("/")
    if not bucket:
        raise SettingError("--to must name a bucket: s3://BUCKET/PREFIX")
    path = f"{prefix.strip('/')}/{month}".lstrip("/")
    given: dict[str, Any] = {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    if endpoint:
        given = {"endpoint": endpoint, "client_options": {"allow_http": endpoint.startswith("http://")}}
    return Bucket(S3Store(bucket, prefix=path, **given), f"{S3}{bucket}/{path}")
