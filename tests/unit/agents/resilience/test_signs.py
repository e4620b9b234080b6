from __future__ import annotations

from agents.resilience.signs import Signs


def test_a_server_lives_while_it_sends_and_when_it_has_answered() -> None:
    signs = Signs()
    assert not signs.since("k1", 0)
    signs.began("k1")
    assert signs.since("k1", 100)
    assert not signs.since("k2", 100)
    signs.ended("k1", 150)
    assert signs.since("k1", 150)
    assert not signs.since("k1", 151)
    signs.answered("k1", 200)
    assert signs.since("k1", 151)
