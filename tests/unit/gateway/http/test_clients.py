"""Connections by credential."""

import pytest

from gateway.core.errors import Busy
from gateway.http.clients import Clients


class Recorded:
    """A connection that remembers how it was closed."""

    def __init__(self) -> None:
        self.closed: list[int] = []

    def close(self, code: int, reason: str) -> None:
        self.closed.append(code)

    def abort(self) -> None:
        self.closed.append(0)

    async def flushed(self) -> None:
        """Nothing waits."""


def test_a_revoked_credential_closes_its_own() -> None:
    clients = Clients(10)
    mine, other, nobody = Recorded(), Recorded(), Recorded()
    for client in (mine, other, nobody):
        clients.enter(client)
    clients.become(mine, "k1")
    clients.become(other, "k2")
    clients.revoked("k1")
    clients.revoked("k3")
    assert (mine.closed, other.closed, nobody.closed) == ([1008], [], [])


def test_a_credential_has_a_bound() -> None:
    clients = Clients(2)
    first, second, third = Recorded(), Recorded(), Recorded()
    for client in (first, second, third):
        clients.enter(client)
    clients.become(first, "k")
    clients.become(second, "k")
    with pytest.raises(Busy):
        clients.become(third, "k")
    clients.become(first, "k")
    clients.leave(second)
    clients.become(third, "k")
    clients.revoked("k")
    assert second.closed == []
    assert third.closed == [1008]


def test_changing_the_credential_moves_the_count() -> None:
    clients = Clients(1)
    first, second = Recorded(), Recorded()
    clients.enter(first)
    clients.enter(second)
    clients.become(first, "a")
    clients.become(first, "b")
    clients.become(second, "a")
    clients.revoked("b")
    assert (first.closed, second.closed) == ([1008], [])


def test_leaving_twice_changes_nothing() -> None:
    clients = Clients(1)
    client = Recorded()
    clients.enter(client)
    clients.leave(client)
    clients.leave(client)
    assert len(clients) == 0
    assert list(clients) == []
