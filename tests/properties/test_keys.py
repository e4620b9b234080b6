"""Laws of keys over any text: injective, reversible, one canonical form."""

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.core.errors import InvalidInput
from gateway.core.ids import AgentId
from gateway.core.keys import (
    Destination,
    RouteKey,
    SessionKey,
    SessionScope,
    normalise_agent_id,
    parse_destination,
    parse_route_key,
    parse_session_key,
)

FIELDS: dict[SessionScope, tuple[str, ...]] = {
    SessionScope.MAIN: (),
    SessionScope.PER_PEER: ("peer",),
    SessionScope.PER_CHANNEL_PEER: ("channel", "peer"),
    SessionScope.PER_ACCOUNT_CHANNEL_PEER: ("channel", "account", "peer"),
    SessionScope.GROUP: ("channel", "account", "guild", "group"),
    SessionScope.THREAD: ("channel", "account", "guild", "group", "thread"),
}

# Lone surrogates included; what a text form is made of comes more often than by chance.
nasty = st.one_of(
    st.text(st.characters(), max_size=12),
    st.text(":%agent maindirectgroupthread/+@~%3A", max_size=12),
    st.lists(
        st.sampled_from([":", "%", "%3A", "%3a", "main", "direct", "\ud800", "\udc00", "é", "😀"]),
        max_size=6,
    ).map("".join),
)


@st.composite
def session_keys(draw: st.DrawFn) -> SessionKey:
    scope = draw(st.sampled_from(SessionScope))
    fields: dict[str, Any] = {name: draw(nasty) for name in FIELDS[scope]}
    return SessionKey(scope, AgentId(draw(nasty)), **fields)


route_keys = st.builds(RouteKey, nasty, nasty, nasty, nasty, nasty, nasty)
destinations = st.builds(Destination, nasty, nasty, nasty, nasty)


@given(session_keys())
def test_a_session_key_is_read_back_from_its_text(key: SessionKey) -> None:
    """The text is ASCII without spaces, so it fits anywhere a name does."""
    text = str(key)
    assert parse_session_key(text) == key
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text


@given(route_keys)
def test_a_route_key_is_read_back_from_its_text(key: RouteKey) -> None:
    """Empty fields included."""
    assert parse_route_key(str(key)) == key


@given(destinations)
def test_a_destination_is_read_back_from_its_text(key: Destination) -> None:
    """Empty fields included."""
    assert parse_destination(str(key)) == key


@given(session_keys(), session_keys())
def test_different_session_keys_have_different_texts(one: SessionKey, other: SessionKey) -> None:
    """No peer, however named, reaches another's conversation."""
    assert (str(one) == str(other)) == (one == other)


@given(route_keys, route_keys)
def test_different_route_keys_have_different_texts(one: RouteKey, other: RouteKey) -> None:
    """The number of segments is fixed, so nothing moves from one field to the next."""
    assert (str(one) == str(other)) == (one == other)


@given(st.one_of(nasty, session_keys().map(str), route_keys.map(str)), nasty, st.integers(0, 60))
def test_only_canonical_text_is_read(base: str, noise: str, place: int) -> None:
    """Whatever a parser accepts is exactly what it would write."""
    text = base[:place] + noise + base[place:]
    for parse in (parse_session_key, parse_route_key, parse_destination):
        try:
            key = parse(text)
        except InvalidInput:
            continue
        assert str(key) == text


@given(session_keys(), st.data())
def test_another_spelling_of_the_same_characters_is_refused(
    key: SessionKey, data: st.DataObject
) -> None:
    """Lower-case hex, or a letter escaped that need not be, would be a second name."""
    text = str(key)
    assume(len(text) < 500)
    place = data.draw(st.integers(0, len(text) - 1))
    character = text[place]
    assume(character not in ":%")
    if text[max(0, place - 2) : place].startswith("%") or text[place - 1 : place] == "%":
        other = text[:place] + character.lower() + text[place + 1 :]
        assume(other != text)
    else:
        other = f"{text[:place]}%{ord(character):02X}{text[place + 1 :]}"
    with pytest.raises(InvalidInput):
        parse_session_key(other)


@example("a" * 63 + "_b")
@given(st.one_of(nasty, st.text(max_size=90), st.text("aZ9_- .", max_size=90)))
def test_normalising_an_agents_name_twice_is_normalising_it_once(name: str) -> None:
    """An id is its own normal form, whatever it was made from."""
    once = normalise_agent_id(name)
    assert normalise_agent_id(once) == once
    assert len(once) <= 64
    assert once == "" or once[0].isalnum()
