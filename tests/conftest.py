"""What holds for every test."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Generator, Iterator

import pytest
import structlog

from tests.support import bounds, database

# A runner in the background hands down an ignored Ctrl-C, and so would every process a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests need predictable answers and no weights; a test that wants the real default sets it itself.
os.environ.setdefault("TURNGATE_MODEL", "scripted")


# Gateways remember their homes for this user; those of tests are not remembered.
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


@pytest.fixture(autouse=True)
def logs_stay_where_they_were() -> Iterator[None]:
    """A command run in this process sends logs to a stream that is closed with its test."""
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.is_configured()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    if not configured:
        structlog.reset_defaults()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By the clock on the wall a test is ended only when it hangs."""
    for item in items:
        if bound_s := bounds.declared(item):
            wall = pytest.mark.timeout(bounds.hangs_s(bound_s))
            item.add_marker(wall, append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """What a test may take is counted in processor time, which other programs do not use up."""
    begun = time.process_time()
    outcome = yield
    spent_s = time.process_time() - begun
    bound_s = item.stash[bounds.BOUND_S]
    if bound_s and spent_s > bound_s:
        pytest.fail(bounds.sentence(spent_s, bound_s), pytrace=False)
    return outcome
