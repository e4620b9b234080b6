"""A real PgBouncer in each mode: what it does to connections is found out at the start."""

from collections.abc import Iterator

import pytest

from gateway.core.clock import SystemClock
from gateway.core.errors import ConfigError
from gateway.store.postgres.connecting import Dial
from gateway.store.postgres.inspection import inspect
from gateway.store.postgres.pooler import require_sessions
from gateway.store.postgres.store import connect_store
from tests.support import database, pooler

pytestmark = pytest.mark.skipif(pooler.BINARY is None, reason=pooler.MISSING)


@pytest.fixture(params=["", "server_round_robin = 1"], ids=["last used first", "in turn"])
def transactions(server: None, request: pytest.FixtureRequest) -> Iterator[str]:
    uri = str(database.server().get_uri())
    with pooler.pooled(uri, mode="transaction", more=request.param) as url:
        yield url


async def test_a_pooler_by_the_transaction_is_refused_with_the_fix(transactions: str) -> None:
    for attempt in (
        require_sessions(Dial(transactions)),
        connect_store(transactions, clock=SystemClock()),
        inspect(transactions, SystemClock()),
    ):
        with pytest.raises(ConfigError, match="session mode"):
            await attempt


async def test_a_busy_pooler_by_the_transaction_is_recognised_too(transactions: str) -> None:
    """Others have warmed it: several servers wait to be lent."""
    others = [await Dial(transactions).bare() for _ in range(3)]
    for other in others:
        await other.execute("BEGIN")
    for other in others:
        await other.execute("ROLLBACK")
    with pytest.raises(ConfigError, match="session mode"):
        await require_sessions(Dial(transactions))
    for other in others:
        other.terminate()


async def test_a_pooler_by_the_session_and_none_at_all_are_fine(
    server: None,
) -> None:
    uri = str(database.server().get_uri())
    await require_sessions(Dial(uri))
    with pooler.pooled(uri, mode="session") as url:
        await require_sessions(Dial(url))
