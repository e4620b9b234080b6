"""Shapes of the methods about keys and models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.wire.methods.base import Milliseconds, Name, Params, Result


class ProfileEntry(Result):
    """How one model does at one key; the key itself is never shown."""

    profile: str
    model: str
    state: Literal["ready", "resting"]
    category: str = Field(description="Of the last failure, if nothing was answered since.")
    failures: int = Field(description="In a row.")
    back_at: Milliseconds | None = Field(description="When its pause ends.")
    window: int = Field(description="Tokens it takes, by the settings or less; 0: not known yet.")
    output: int = Field(description="Tokens an answer may have; 0: not known.")
    tools: bool
    images: bool
    simultaneous: int = Field(description="Requests it is sent at a time; 0: no bound.")
    left_out: list[str] = Field(description="Members of a request that it is asked without.")
    base_url: str


class ProfileList(Result):
    """Keys in the order of the settings, models in the order they are asked for."""

    profiles: list[ProfileEntry]


class ClearProfiles(Params):
    """The profile to clear; without a name, all of them."""

    profile: Name | None = None


class Cleared(Result):
    """How many records were forgotten."""

    cleared: int


class ModelEntry(Result):
    """A model and where it can be asked for."""

    model: str
    state: Literal["ready", "resting"] = Field(description="Resting: at every key.")
    profiles: list[str]
    window: int = Field(description="The largest one known; 0: not known yet.")
    output: int = Field(description="Tokens of the longest answer known of; 0: not known.")
    tools: bool = Field(description="Taken at one key at least, as images.")
    images: bool
    simultaneous: int = Field(description="Requests at a time at all keys; 0: no bound.")
    left_out: list[str] = Field(description="Members of a request that some key is asked without.")


class ModelList(Result):
    """Models in the order they are asked for."""

    models: list[ModelEntry]
