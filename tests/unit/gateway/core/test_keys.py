"""The text forms of keys, by example; `tests/properties/test_keys.py` has the general laws."""

from typing import Any

import pytest

from gateway.core.errors import InvalidInput
from gateway.core.ids import AgentId
from gateway.core.keys import (
    DM_SCOPES,
    MAX_KEY_CHARS,
    Destination,
    RouteKey,
    SessionKey,
    SessionScope,
    normalise_agent_id,
    parse_destination,
    parse_route_key,
    parse_session_key,
)

MAIN = AgentId("main")
FIELDS: dict[SessionScope, dict[str, str]] = {
    SessionScope.MAIN: {},
    SessionScope.PER_PEER: {"peer": "42"},
    SessionScope.PER_CHANNEL_PEER: {"channel": "discord", "peer": "42"},
    SessionScope.PER_ACCOUNT_CHANNEL_PEER: {"channel": "discord", "account": "bot", "peer": "42"},
    SessionScope.GROUP: {"channel": "discord", "account": "bot", "guild": "g", "group": "c"},
    SessionScope.THREAD: {
        "channel": "discord",
        "account": "bot",
        "guild": "g",
        "group": "c",
        "thread": "t",
    },
}
FORMS = {
    SessionScope.MAIN: "agent:main:main",
    SessionScope.PER_PEER: "agent:main:direct:42",
    SessionScope.PER_CHANNEL_PEER: "agent:main:discord:direct:42",
    SessionScope.PER_ACCOUNT_CHANNEL_PEER: "agent:main:discord:bot:direct:42",
    SessionScope.GROUP: "agent:main:discord:bot:group:g:c",
    SessionScope.THREAD: "agent:main:discord:bot:thread:g:c:t",
}


@pytest.mark.parametrize("scope", SessionScope)
def test_each_scope_has_its_own_form(scope: SessionScope) -> None:
    """These texts are in databases and bindings: they do not change."""
    key = SessionKey(scope, MAIN, **FIELDS[scope])
    assert str(key) == FORMS[scope]
    assert parse_session_key(FORMS[scope]) == key


@pytest.mark.parametrize("scope", SessionScope)
def test_a_key_has_no_field_beyond_its_scope(scope: SessionScope) -> None:
    """Two keys that differ only in what the text form leaves out would be one."""
    for name in set(FIELDS[SessionScope.THREAD]) | {"peer"}:
        if name not in FIELDS[scope]:
            extra: dict[str, Any] = {name: "x"}
            with pytest.raises(InvalidInput, match=f"{scope} session key has no {name}"):
                SessionKey(scope, MAIN, **extra)


def test_dm_scopes_are_those_an_agent_may_declare() -> None:
    """Groups and threads are not a choice."""
    assert set(SessionScope) - set(DM_SCOPES) == {SessionScope.GROUP, SessionScope.THREAD}


@pytest.mark.parametrize(
    ("peer", "text"),
    [
        ("a:b", "agent:main:direct:a%3Ab"),
        ("a%3Ab", "agent:main:direct:a%253Ab"),
        ("a/b c", "agent:main:direct:a%2Fb%20c"),
        ("ann@example.org+x", "agent:main:direct:ann@example.org+x"),
        ("é", "agent:main:direct:%C3%A9"),
        ("\ud800", "agent:main:direct:%ED%A0%80"),
        ("", "agent:main:direct:"),
        ("main", "agent:main:direct:main"),
    ],
)
def test_no_peer_can_forge_anothers_key(peer: str, text: str) -> None:
    """Whatever means something in a text form is escaped, and comes back."""
    key = SessionKey(SessionScope.PER_PEER, MAIN, peer=peer)
    assert str(key) == text
    assert parse_session_key(text) == key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1 segments"),
        ("agent", "1 segments"),
        ("agent:main", "2 segments"),
        ("agent:main:discord:bot:thread:g:c:t:more", "9 segments"),
        ("agent:main:other", "expected 'main', got 'other'"),
        ("Agent:main:main", "expected 'agent', got 'Agent'"),
        ("agent:main:peer:42", "expected 'direct', got 'peer'"),
        ("agent:main:direct:%3a", "another encoding"),
        ("agent:main:direct:%41", "another encoding"),
        ("agent:main:direct:a b", "another encoding"),
        ("agent:main:direct:é", "another encoding"),
        ("agent:main:direct:%", "another encoding"),
        ("agent:main:direct:%ff", "not UTF-8"),
        ("agent:main:direct:\ud800", "not UTF-8"),
        ("agent:main:direct:" + "x" * MAX_KEY_CHARS, "at most 2048 characters"),
    ],
)
def test_any_other_text_is_no_session_key(text: str, said: str) -> None:
    """The message names what was expected and what came."""
    with pytest.raises(InvalidInput, match=said):
        parse_session_key(text)


def test_a_route_key_holds_the_place_a_message_comes_from() -> None:
    """Six segments, empty ones included."""
    key = RouteKey("discord", "bot", "g", "c", "t", "42")
    assert str(key) == "discord:bot:g:c:t:42"
    assert parse_route_key("discord:bot:g:c:t:42") == key
    assert str(RouteKey()) == "unknown:default::::"
    assert parse_route_key("unknown:default::::") == RouteKey()
    with pytest.raises(InvalidInput, match="expected 6 segments"):
        parse_route_key("discord:bot")


def test_an_answer_goes_where_the_message_was_said() -> None:
    """To the group or thread; in a direct conversation to the peer."""
    group = RouteKey("discord", "bot", "g", "c", "t", "42").destination()
    assert group == Destination("discord", "bot", "c", "t")
    direct = RouteKey("web", "default", peer="ann").destination()
    assert direct == Destination("web", "default", "ann")
    assert str(direct) == "web:default:ann:"
    assert parse_destination("web:default:ann:") == direct
    with pytest.raises(InvalidInput, match="not a destination: expected 4 segments"):
        parse_destination("web:default:ann")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Main", "main"),
        ("code reviewer", "code-reviewer"),
        ("a.b/c\\d", "a-b-c-d"),
        ("  --_x_--  ", "x"),
        ("Zoë", "zo"),
        ("under_score-dash", "under_score-dash"),
        ("../../etc/passwd", "etc-passwd"),
        ("", ""),
        ("日本", ""),
        ("a" * 70, "a" * 64),
        ("a" * 63 + " b", "a" * 63),
    ],
)
def test_an_agents_name_becomes_an_id(name: str, expected: str) -> None:
    """Safe in a path, a URL and a key."""
    assert normalise_agent_id(name) == expected
