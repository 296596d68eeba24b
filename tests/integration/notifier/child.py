"""A notifier with the real sender, configured by its environment, for tests that kill it."""

import os

from notifier.service import main
from schemas.settings import read

main(read(os.environ))
