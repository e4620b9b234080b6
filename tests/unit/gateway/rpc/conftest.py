"""A gateway for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.models.scripted import Rule
from tests.unit.gateway.rpc.talk import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """It answers at once, except that `slow` takes five seconds of its time."""
    async with open_world(tmp_path, rules=[Rule(r"^slow", "at last", latency_s=5)]) as opened:
        yield opened
