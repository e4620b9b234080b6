from __future__ import annotations

import pytest

from agents.base.tools import ToolContext
from agents.tools.current_time import CurrentTime
from gateway.core.clock import ManualClock
from gateway.core.errors import ToolError
from gateway.core.ids import AgentId


async def tell(arguments: str = "", *, now_ms: int = 1_700_000_000_999) -> str:
    context = ToolContext(AgentId("main"), None, ManualClock(now_ms=now_ms), "key")
    return (await CurrentTime().run(arguments, context)).text


async def test_without_a_zone_it_is_utc() -> None:
    assert await tell() == "2023-11-14T22:13:20+00:00 (Tuesday, UTC)"
    assert await tell('{"zone": "utc"}') == "2023-11-14T22:13:20+00:00 (Tuesday, utc)"


async def test_a_zone_moves_the_hour_and_the_day() -> None:
    assert await tell('{"zone": "Asia/Tokyo"}') == (
        "2023-11-15T07:13:20+09:00 (Wednesday, Asia/Tokyo)"
    )


async def test_summer_is_an_hour_ahead() -> None:
    text = await tell('{"zone": "Europe/Berlin"}', now_ms=1_688_200_000_000)
    assert text == "2023-07-01T10:26:40+02:00 (Saturday, Europe/Berlin)"


@pytest.mark.parametrize(
    "zone",
    ["Mars/Olympus", "", "Europe", "../../etc/passwd", "/etc/localtime", "a\\u0000b", "CET!"],
)
async def test_what_is_no_zone_is_refused_with_a_hint(zone: str) -> None:
    with pytest.raises(ToolError, match="Europe/Berlin"):
        await tell(f'{{"zone": "{zone}"}}')


async def test_a_zone_without_end_is_refused() -> None:
    with pytest.raises(ToolError, match="at most 64"):
        await tell('{"zone": "' + "x" * 1000 + '"}')
