"""The one model of a gateway that needs no key, seen and counted like a model behind profiles."""

from __future__ import annotations

from agents.base.models import Model, ModelContext, ModelReply, ModelRequest
from agents.base.profiles import LineUse, ModelAtProfile, ProfileInfo, Watch
from gateway.core.errors import AttemptEnd, ModelAttempt, ModelFailed


class Keyless:
    """A model that is always ready, with nothing to clear; it reports its requests to watchers."""

    def __init__(self, model: Model, name: str, *, window: int = 0, tools: bool = True) -> None:
        self._model = model
        at = ModelAtProfile(name, "ready", "", 0, 0, 0, window, tools=tools, images=False)
        self._info = ProfileInfo(name, "", models=(at,))
        self._watching: list[Watch] = []

    async def open(self) -> None:
        """Open the model."""
        await self._model.open()

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """As the model does."""
        category: AttemptEnd = "unfinished"
        tokens = (0, 0)
        try:
            reply = await self._model.complete(request, context)
            category, tokens = "", (reply.usage.input_tokens, reply.usage.output_tokens)
            return reply
        except ModelFailed as error:
            category = error.category
            raise
        finally:
            attempt = ModelAttempt(self._info.name, request.model, "first", category)
            for watch in self._watching:
                watch(attempt, *tokens)

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()

    def seen(self) -> tuple[ProfileInfo, ...]:
        return (self._info,)

    def lines(self) -> list[LineUse]:
        return []

    def clear(self, profile: str = "") -> int:
        return 0

    def watch(self, watch: Watch) -> None:
        """Report each request to this one from now on."""
        self._watching.append(watch)
