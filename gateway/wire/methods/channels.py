"""Shapes of the methods about channels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.wire.methods.base import Milliseconds, Name, Params, Result


class OneChannel(Params):
    """Which channel."""

    channel: Annotated[Name, Field(description="Its name.")]
    account: Annotated[Name, Field(description="Whose it is, where it has several.")] = "default"


class ChannelEntry(Result):
    """How one channel does."""

    channel: str
    account: str
    state: Literal["running", "resting", "ended", "stopping", "stopped"] = Field(
        description="Resting: its reading failed and is started again after a pause; ended: its "
        "source has nothing more, and it still sends."
    )
    since: Milliseconds
    restarts: int = Field(description="Failures since it was last started by hand.")
    error: str = Field(description="Of the last failure; empty if there was none.")


class ChannelList(Result):
    """Every channel of this gateway."""

    channels: list[ChannelEntry]
