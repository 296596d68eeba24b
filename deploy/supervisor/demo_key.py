"""API key for the customer demo-corp, so that the command that `rev up` prints works when pasted."""

import time
from pathlib import Path

from deploy.supervisor import directory, probes

CUSTOMER = "demo-corp"
FILE = "demo.key"
TRIES = 10
PAUSE = 0.2
"""Seconds of pause after the first try; each later pause is that much longer."""


def ensure(data: Path, http: str, token: str) -> Path | None:
    """Return the file with a working key; create the key through the public admin API if need be.

    Return None if the gateway gives no key after a few tries (the gateway logs the reason).
    """
    file = data / FILE
    for attempt in range(TRIES):
        try:
            if file.exists() and probes.call(f"{http}/v1/pricing", file.read_text().strip())[0] != 401:
                return file
            wanted = {"customer_id": CUSTOMER, "customer_name": "Demo Corp"}
            status, answer = probes.call(f"{http}/api/admin/api-keys", token, wanted)
        except (OSError, ValueError):
            status, answer = 0, None
        if status == 201:
            directory.write_private(file, answer["api_key"] + "\n")
            return file
        time.sleep(PAUSE * (attempt + 1))
    return None
