"""A client of any OpenAI-compatible server, for one profile: one key bound to one base URL.

It makes exactly one request a call, follows no redirect and retries nothing: failing over is for
those who wrap it. The SDK costs most of a second to import, so that happens on first use, in a
thread; `open` does it ahead of time. The key is in no message, repr or log of ours.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.models.profile import Profile, Timeouts
from gateway.core.errors import ModelFailed

if TYPE_CHECKING:
    from agents.models.openai_sdk import SdkConnection


class OpenAIModel:
    """Answers by asking the server of its profile."""

    def __init__(self, profile: Profile, *, timeouts: Timeouts | None = None) -> None:
        self._profile = profile
        self._timeouts = timeouts or Timeouts()
        self._connection: SdkConnection | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    def __repr__(self) -> str:
        return f"OpenAIModel({self._profile!r})"

    async def open(self) -> None:
        """Load the SDK; done by the first call otherwise. Cancelling leaves nothing open."""
        await self._open()

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """One answer; raises only `ModelFailed`. Cancelling closes the upstream request."""
        try:
            async with context.clock.timeout(self._timeouts.total_s):
                connection = await self._open()
                return await connection.ask(request, context)
        except TimeoutError:
            pass
        raise ModelFailed("timeout", f"no whole answer within {self._timeouts.total_s:g} s")

    async def close(self) -> None:
        """End what is under way; calls after this fail."""
        self._closed = True
        async with self._opening:
            connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _open(self) -> SdkConnection:
        if self._connection is not None:
            return self._connection
        async with self._opening:
            if self._closed:
                raise ModelFailed("server", "the model client is closed")
            if self._connection is None:
                self._connection = await asyncio.to_thread(_connect, self._profile, self._timeouts)
            return self._connection


def _connect(profile: Profile, timeouts: Timeouts) -> SdkConnection:
    from agents.models.openai_sdk import SdkConnection  # noqa: PLC0415 - costs 0.6 s and 50 MiB

    return SdkConnection(profile, timeouts)
