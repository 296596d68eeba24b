"""The session's stack as these tests see it."""

from typing import Any

import pytest

from tests.integration.sdk.here import Here


@pytest.fixture
def here(stack: dict[str, Any]) -> Here:
    return Here(stack)
