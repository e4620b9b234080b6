"""One gateway for the tests of lanes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.base.tools import Effect
from tests.support.house import House, Notebook, open_house
from tests.unit.gateway.turns.lane_house import PAY, twelve_at_once


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """One that runs twelve turns at once and has an unsafe tool, standing still when told to."""
    it = House(tmp_path, rules=[PAY], tools=[Notebook("pay", Effect.UNSAFE)])
    async with open_house(twelve_at_once(it)):
        yield it
