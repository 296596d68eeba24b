"""Users of the daemon: users.json in its directory, and the password check."""

import base64
import binascii
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from deploy.clickhouse.errors import ClickHouseError, refusal

Role = Literal["rw", "ro"]


class User(NamedTuple):
    """A user. ``rw`` may do everything; ``ro`` is an analyst (guard.py)."""

    name: str
    password: str
    role: Role


def load(path: Path) -> dict[str, User]:
    """Load the users from the file; create it with random passwords if it does not exist.

    Raises ValueError with a sentence if the file cannot be used.
    """
    if not path.exists():
        _create(path)
    try:
        found: object = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{path} names no users")
    return {name: _user(path, name, record) for name, record in found.items()}


def _user(path: Path, name: str, record: object) -> User:
    match record:
        case {"password": str(password), "role": "rw"} if password:
            return User(name, password, "rw")
        case {"password": str(password), "role": "ro"} if password:
            return User(name, password, "ro")
    raise ValueError(f"{path}: {name} needs a password and a role, rw or ro")


def _create(path: Path) -> None:
    users = {
        "rev": {"password": secrets.token_urlsafe(24), "role": "rw"},
        "analyst": {"password": secrets.token_urlsafe(24), "role": "ro"},
    }
    # Complete before it gets its name, so that a kill in between leaves no partial file.
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(users, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def authenticate(users: Mapping[str, User], headers: Mapping[str, str], parameters: Mapping[str, str]) -> User:
    """Return the user of a request: X-ClickHouse-User/-Key, else Basic, else ``user`` and ``password`` of the URL.

    Raises ClickHouseError 516 if there is no such user with that password.
    """
    name, password = _credentials(headers, parameters)
    user = users.get(name)
    # Compared even for an unknown name, so that the time taken reveals nothing.
    same = hmac.compare_digest((user.password if user else "?").encode(), password.encode("utf-8", "surrogateescape"))
    if user is None or not same:
        raise _refused(name)
    return user


def _credentials(headers: Mapping[str, str], parameters: Mapping[str, str]) -> tuple[str, str]:
    if "X-ClickHouse-User" in headers:
        return headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _refused("") from error
        return name, password
    return parameters.get("user", "default"), parameters.get("password", "")


def _refused(name: str) -> ClickHouseError:
    sentence = f"{name[:100]}: Authentication failed: password is incorrect, or there is no user with such name."
    return refusal(516, "AUTHENTICATION_FAILED", sentence)
