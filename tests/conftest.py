"""What holds for every test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest

from tests.support import database

# A runner in the background hands down an ignored Ctrl-C, and so would every process a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests need predictable answers and no weights; a test that wants the real default sets it itself.
os.environ.setdefault("TURNGATE_MODEL", "scripted")


# Gateways remember their homes for this user; those of tests are no homes of anybody.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="turngate-tests-state-")


@pytest.fixture(scope="session", autouse=True)
def no_state_stays() -> Iterator[None]:
    """Nothing is left of the homes that were remembered."""
    yield
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def no_database_stays() -> Iterator[None]:
    """Whoever started a PostgreSQL ends it."""
    yield
    database.stop()
