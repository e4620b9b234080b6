"""The tool `current_time`: the clock on the wall, in any time zone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from agents.base.models import ToolSpec
from agents.base.tools import TOOL_TIMEOUT_S, Effect, ToolContext, ToolResult
from agents.tools import arguments
from gateway.core.errors import ToolError

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""Not from the locale: the same call gives the same text on every machine."""


class CurrentTimeArguments(arguments.Arguments):
    zone: str = Field(
        default="UTC", max_length=64, description="IANA time zone, such as Europe/Berlin or UTC"
    )


class CurrentTime:
    """Tells the time of the injected clock."""

    spec: ToolSpec = arguments.spec(
        "current_time",
        "The current date, time and weekday, in UTC or a given time zone.",
        CurrentTimeArguments,
    )
    effect = Effect.PURE
    timeout_s = TOOL_TIMEOUT_S
    needs_folder = False

    async def run(self, arguments_text: str, context: ToolContext) -> ToolResult:
        wanted = arguments.parse(CurrentTimeArguments, arguments_text)
        # A zone is read from a file; UTC needs none, not even in a container without any.
        zone = UTC if wanted.zone.upper() == "UTC" else await asyncio.to_thread(_zone, wanted.zone)
        now = datetime.fromtimestamp(context.clock.now_ms() // 1000, zone)
        return ToolResult(f"{now.isoformat()} ({DAYS[now.weekday()]}, {wanted.zone})")


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    # A name that leads out of the zone folder is a ValueError, one that is a folder an OSError.
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ToolError(
            f"There is no time zone {name!r}; use an IANA name such as Europe/Berlin, "
            "America/New_York or UTC."
        ) from error
