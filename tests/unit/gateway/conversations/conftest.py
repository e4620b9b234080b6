"""A gateway for each test, and messages for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.models.scripted import Rule
from tests.unit.gateway.rpc.talk import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """It answers immediately, except that `slow` takes five seconds of its time."""
    rules = [Rule("^slow", "at last", latency_s=5), Rule("^User: ", "in short")]
    async with open_world(tmp_path, rules=rules) as opened:
        yield opened
