"""JSON text that is copied as it is: what a customer sent, or what is rendered once and never decoded."""

import msgspec

EMPTY = msgspec.Raw(b"")
"""An absent JSON object."""
NULL = msgspec.Raw(b"null")
