"""What a message may be: no store, no loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from channels.base.messages import Inbound
from gateway.core.errors import InvalidInput
from gateway.core.ids import AgentId
from gateway.core.keys import (
    MAX_KEY_CHARS,
    RouteKey,
    SessionKey,
    SessionScope,
    parse_destination,
    parse_route_key,
    parse_session_key,
)
from gateway.core.parts import File, Image, Part, Text
from gateway.intake.limits import MAX_ID_CHARS, MAX_MESSAGE_BYTES, check, check_session

PLAIN = Inbound(RouteKey("memory", peer="ann"), (Text("hi"),), "local")
LONE = "\ud83d"


def message(name: str, value: str) -> Inbound:
    """The plain message with one member changed."""
    changed: dict[str, Any] = {name: value}
    return replace(PLAIN, **changed)


def route(name: str, value: str) -> RouteKey:
    """The plain route with one field changed."""
    return replace(PLAIN.route, **{name: value})


def test_an_ordinary_message_passes() -> None:
    """With everything a message can have."""
    check(PLAIN)
    check(
        replace(
            PLAIN,
            parts=(Text("日本語 👩‍👧"), Image("https://a/b.png"), File("a.txt", "data:,x")),
            external_id="e",
            idempotency_key="k",
            agent=AgentId("main"),
            ttl_ms=1,
        )
    )


def test_a_message_says_something() -> None:
    """A sender that forgot the text learns it at once."""
    with pytest.raises(InvalidInput, match="at least one part"):
        check(replace(PLAIN, parts=()))


@pytest.mark.parametrize(
    "part",
    [
        Text("é" * (MAX_MESSAGE_BYTES // 4)),
        Image("x" * (MAX_MESSAGE_BYTES + 1)),
        Image("", media_type="x" * (MAX_MESSAGE_BYTES + 1)),
        File("x" * (MAX_MESSAGE_BYTES + 1), ""),
        File("", "x" * (MAX_MESSAGE_BYTES + 1)),
        File("", "", media_type="x" * (MAX_MESSAGE_BYTES + 1)),
    ],
)
def test_size_is_counted_in_bytes_over_everything_in_the_message(part: Part) -> None:
    """No member is a way around the bound."""
    with pytest.raises(InvalidInput, match="bytes"):
        check(replace(PLAIN, parts=(part,)))


def test_many_small_parts_are_bounded_too() -> None:
    """Empty parts have a size as well."""
    with pytest.raises(InvalidInput, match="bytes"):
        check(replace(PLAIN, parts=(Text(""),) * (MAX_MESSAGE_BYTES // 26)))


@pytest.mark.parametrize(("char", "bytes_each"), [("a", 1), ('"', 2), ("\x01", 6), ("👩", 4)])
def test_words_count_as_json_and_twice(char: str, bytes_each: int) -> None:
    """That is how they are read back; a character more than fits is told at once."""
    empty = len('[[{"type":"text","text":""}],""]')
    most = (MAX_MESSAGE_BYTES - empty) // (2 * bytes_each)
    check(replace(PLAIN, parts=(Text(char * most),)))
    with pytest.raises(InvalidInput, match=rf"at most {MAX_MESSAGE_BYTES} bytes"):
        check(replace(PLAIN, parts=(Text(char * (most + 1)),)))


def test_an_address_of_an_attachment_counts_once() -> None:
    """It is not among the words."""
    check(replace(PLAIN, parts=(Image("x" * (MAX_MESSAGE_BYTES - 200)),)))


@pytest.mark.parametrize("name", ["external_id", "idempotency_key", "principal", "agent"])
def test_ids_have_a_length(name: str) -> None:
    """The message names the member, the bound and what came."""
    check(message(name, "x" * MAX_ID_CHARS))
    with pytest.raises(InvalidInput, match=f"{name} has at most 512 characters, got 513"):
        check(message(name, "x" * (MAX_ID_CHARS + 1)))


@pytest.mark.parametrize("name", ["external_id", "idempotency_key", "principal", "agent"])
def test_ids_are_unicode_text(name: str) -> None:
    """A lone surrogate can be in JSON, and nowhere else."""
    with pytest.raises(InvalidInput, match=f"{name} holds a lone surrogate"):
        check(message(name, LONE))


@pytest.mark.parametrize("name", ["channel", "account", "guild", "group", "thread", "peer"])
def test_routes_are_unicode_text(name: str) -> None:
    """They are columns, members of events and names of queues."""
    with pytest.raises(InvalidInput, match=rf"route\.{name} holds a lone surrogate"):
        check(replace(PLAIN, route=route(name, LONE)))


@pytest.mark.parametrize(
    "part",
    [Text(f"a{LONE}"), Image(LONE), Image("u", LONE), File(LONE, "u"), File("n", LONE)],
)
def test_words_are_unicode_text(part: Part) -> None:
    """Anywhere in any part."""
    with pytest.raises(InvalidInput, match="the message holds a lone surrogate"):
        check(replace(PLAIN, parts=(Text("fine"), part)))


@pytest.mark.parametrize("name", ["channel", "account", "guild", "group", "thread", "peer"])
def test_every_route_that_passes_is_read_back(name: str) -> None:
    """What is stored under a key is looked up by parsing it, also for its destination."""
    for char in ("x", ":", "語", "%"):
        bare = len(str(route(name, "")))
        encoded = len(str(route(name, char))) - bare
        most = (MAX_KEY_CHARS - bare) // encoded
        fits = route(name, char * most)
        check(replace(PLAIN, route=fits))
        assert parse_route_key(str(fits)) == fits
        assert parse_destination(str(fits.destination())) == fits.destination()
        too_long = route(name, char * (most + 1))
        with pytest.raises(InvalidInput, match="the route has at most 2048 characters"):
            check(replace(PLAIN, route=too_long))


def test_every_session_that_passes_is_read_back() -> None:
    """A key may grow over its route's: an address inside it is encoded twice."""
    bare = len(str(SessionKey(SessionScope.PER_PEER, AgentId("main"), peer="")))
    fits = SessionKey(SessionScope.PER_PEER, AgentId("main"), peer="p" * (MAX_KEY_CHARS - bare))
    check_session(fits)
    assert parse_session_key(str(fits)) == fits
    with pytest.raises(InvalidInput, match="the session key has at most 2048 characters"):
        check_session(replace(fits, peer=fits.peer + "p"))


@pytest.mark.parametrize("ttl_ms", [0, -1])
def test_a_time_to_live_is_one(ttl_ms: int) -> None:
    """A message that is too old on arrival is a mistake of its sender."""
    with pytest.raises(InvalidInput, match="ttl_ms must be above 0"):
        check(replace(PLAIN, ttl_ms=ttl_ms))
