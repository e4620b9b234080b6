"""Which addresses stand for this machine."""

from __future__ import annotations

import pytest

from gateway.core.addresses import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_is_known_by_name_and_by_number(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "fe80::1"])
def test_everything_else_may_be_reached_by_others(host: str) -> None:
    assert not is_loopback(host)
