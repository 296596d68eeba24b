"""Validation of import labels. Pure."""

import re

from ingest.bodies import LABEL_PATTERN, MAX_LABEL
from ingest.problems import Invalid

_label = re.compile(LABEL_PATTERN).fullmatch


def import_id_of(given: str | None) -> str | None:
    """Return the label of an import, or None when it is not given. Raises Invalid for an invalid label."""
    if given is not None and (len(given) > MAX_LABEL or not _label(given)):
        raise Invalid(f"import_id must be 1 to {MAX_LABEL} characters from A-Z a-z 0-9 _ . - but not '.' or '..'")
    return given
