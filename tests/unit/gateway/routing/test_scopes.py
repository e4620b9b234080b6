"""Which conversation a message belongs to; the text forms are those users know."""

from pathlib import Path

import pytest

from agents.base.agents import Agent
from gateway.core.errors import ConfigError
from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey, SessionScope
from gateway.routing.identities import Address, Identities
from gateway.routing.scopes import session_key

NOBODY = Identities()
ANN = Identities(
    {Address("discord", "bot", "7"): "ann", Address("websocket", "default", "ann"): "ann"}
)
DIRECT = RouteKey("discord", "bot", peer="7")


def key(scope: SessionScope, route: RouteKey, links: Identities = NOBODY) -> str:
    agent = Agent(AgentId("luna"), "Luna", "", Path(), dm_scope=scope)
    return str(session_key(agent, route, links))


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (SessionScope.MAIN, "agent:luna:main"),
        (SessionScope.PER_PEER, "agent:luna:direct:discord%3Abot%3A7"),
        (SessionScope.PER_CHANNEL_PEER, "agent:luna:discord:direct:7"),
        (SessionScope.PER_ACCOUNT_CHANNEL_PEER, "agent:luna:discord:bot:direct:7"),
    ],
)
def test_a_direct_message_reaches_as_far_as_the_dm_scope(scope: SessionScope, text: str) -> None:
    """The four dm scopes."""
    assert key(scope, DIRECT) == text


@pytest.mark.parametrize("scope", [SessionScope.PER_PEER, SessionScope.PER_CHANNEL_PEER])
def test_a_message_without_a_peer_goes_to_the_main_session(scope: SessionScope) -> None:
    """There is nobody to keep apart."""
    assert key(scope, RouteKey("discord", "bot")) == "agent:luna:main"


def test_a_missing_channel_is_unknown_and_a_missing_account_default() -> None:
    """The words are part of the key, so an empty segment never appears."""
    route = RouteKey("", "", peer="7")
    assert (
        key(SessionScope.PER_ACCOUNT_CHANNEL_PEER, route) == "agent:luna:unknown:default:direct:7"
    )


def test_linked_peers_share_a_session_under_per_peer() -> None:
    """The person's name takes the place of the peer."""
    websocket = RouteKey("websocket", peer="ann")
    assert key(SessionScope.PER_PEER, DIRECT, ANN) == "agent:luna:direct:ann"
    assert key(SessionScope.PER_PEER, websocket, ANN) == "agent:luna:direct:ann"


@pytest.mark.parametrize(
    "other",
    [
        RouteKey("websocket", "bot", peer="7"),
        RouteKey("discord", "default", peer="7"),
        RouteKey("discord", "bot", peer="ann"),
        RouteKey("discord", "bot:7", peer="7"),
    ],
)
def test_peers_nobody_linked_stay_apart_under_per_peer(other: RouteKey) -> None:
    """Neither an equal id on another channel nor a person's name as id merges two people."""
    assert key(SessionScope.PER_PEER, other, ANN) != key(SessionScope.PER_PEER, DIRECT, ANN)


def test_links_change_nothing_in_the_other_scopes() -> None:
    """They say who is the same, not how far a conversation reaches."""
    assert key(SessionScope.PER_CHANNEL_PEER, DIRECT, ANN) == "agent:luna:discord:direct:7"


@pytest.mark.parametrize("scope", [SessionScope.MAIN, SessionScope.PER_CHANNEL_PEER])
def test_everybody_in_a_group_shares_its_conversation(scope: SessionScope) -> None:
    """Whatever the dm scope: answers in a group refer to each other."""
    seven = RouteKey("discord", "bot", "42", "900", "", "7")
    eight = RouteKey("discord", "bot", "42", "900", "", "8")
    assert key(scope, seven) == key(scope, eight) == "agent:luna:discord:bot:group:42:900"


def test_a_thread_of_a_group_is_a_conversation_of_its_own() -> None:
    """Apart from its group and from other threads."""
    route = RouteKey("discord", "bot", "42", "900", "5", "7")
    assert key(SessionScope.MAIN, route) == "agent:luna:discord:bot:thread:42:900:5"


def test_a_thread_outside_a_group_stays_in_the_peers_conversation() -> None:
    """Thread ids of two direct conversations may be equal; a thread key has no peer."""
    route = RouteKey("telegram", "bot", thread="1", peer="7")
    assert key(SessionScope.PER_CHANNEL_PEER, route) == "agent:luna:telegram:direct:7"


def test_a_guild_without_a_group_does_not_make_a_message_shared() -> None:
    """Where a peer was met is not whom it talks to."""
    route = RouteKey("discord", "bot", "42", peer="7")
    assert key(SessionScope.PER_CHANNEL_PEER, route) == "agent:luna:discord:direct:7"


@pytest.mark.parametrize("scope", [SessionScope.GROUP, SessionScope.THREAD])
def test_a_dm_scope_that_is_none_is_refused(scope: SessionScope) -> None:
    """An agent cannot declare that its direct messages are a group."""
    with pytest.raises(ConfigError, match="expected one of main, per-peer"):
        key(scope, DIRECT)
