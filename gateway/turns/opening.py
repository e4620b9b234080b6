"""How far the model is with opening: what `status` tells while messages are taken all the same.

Opening fetches weights, starts a process or imports a client. A model that could not be opened is
asked anyway, turn by turn, and is well again with its first answer.
"""

from __future__ import annotations

from typing import Literal

from agents.base.models import Model, ModelContext, ModelReply, ModelRequest
from gateway.core.errors import ModelFailed

OpeningState = Literal["loading", "downloading", "ready", "failed"]
MB = 1_000_000


class Opening:
    """The state and a sentence on it: how much is fetched, or why it failed; mostly empty."""

    def __init__(self) -> None:
        self.state: OpeningState = "loading"
        self.note = ""

    def fetched(self, done: int, total: int) -> None:
        """So many bytes of the weights are here."""
        if done < total:
            self._become("downloading", f"{done // MB} of {total // MB} MB")
        else:
            self._become("loading")

    def succeeded(self) -> None:
        """It is open, or has answered."""
        self._become("ready")

    def failed(self, note: str) -> None:
        """It could not be opened."""
        self._become("failed", note)

    def _become(self, state: OpeningState, note: str = "") -> None:
        self.state, self.note = state, note


class OpeningModel:
    """A model that writes down how its opening goes."""

    def __init__(self, model: Model, opening: Opening) -> None:
        self._model = model
        self._opening = opening

    async def open(self) -> None:
        """Open the model; raises what that raises."""
        try:
            await self._model.open()
        except ModelFailed as error:
            self._opening.failed(str(error))
            raise
        except Exception:
            self._opening.failed("the reason is in the log")
            raise
        self._opening.succeeded()

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """As the model does."""
        reply = await self._model.complete(request, context)
        self._opening.succeeded()
        return reply

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()
