"""What the methods about keys and models say where there is no key."""

from __future__ import annotations

import pytest

from tests.unit.gateway.rpc.talk import OPERATOR, Refusal, World


async def test_a_model_without_a_key_is_listed_under_its_own_name(world: World) -> None:
    """An empty list would read as if nobody answered."""
    talk = world.talk(OPERATOR)
    (model,) = (await talk.call("models.list"))["models"]
    assert (model["model"], model["state"], model["profiles"]) == (
        "scripted",
        "ready",
        ["scripted"],
    )
    (profile,) = (await talk.call("profiles.list"))["profiles"]
    assert (profile["profile"], profile["failures"]) == ("scripted", 0)
    assert (await talk.call("profiles.clear"))["cleared"] == 0


async def test_a_profile_nobody_has_cannot_be_cleared(world: World) -> None:
    """The refusal names those there are."""
    with pytest.raises(Refusal, match="there are: scripted"):
        await world.talk(OPERATOR).call("profiles.clear", profile="openai")
