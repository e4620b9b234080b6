"""Coming in, becoming less, and what the gateway says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.models.scripted import Rule
from gateway.rpc.catalog import METHODS
from tests.unit.gateway.rpc.talk import (
    ADMIN,
    ALICE,
    NOBODY,
    OPERATOR,
    Refusal,
    World,
    open_world,
)

TOKEN = "the-token-of-alice"


async def test_a_token_lets_in(world: World) -> None:
    """From then on the connection is that principal's."""
    talk = world.talk(NOBODY)
    with pytest.raises(Refusal, match=r"unauthenticated.*connect"):
        await talk.call("status")
    answer = await talk.call("connect", token=TOKEN)
    assert (answer["principal"], answer["scopes"]) == ("alice", ["chat", "read"])
    assert (answer["version"], answer["seq"]) == ("0.1.0", 0)
    assert answer["limits"]["working"] == 16
    assert talk.connection.principal == ALICE
    assert (await talk.call("send", text="hello"))["reply"]


async def test_rpc_websockets_logs_in_by_its_own_name(world: World) -> None:
    """The answer is true; positional as well."""
    talk = world.talk(NOBODY)
    assert await talk.call("rpc.login", token=TOKEN) is True
    other = world.talk(NOBODY)
    id = await other.request("rpc.login", [TOKEN])
    assert (await other.answer(id))["result"] is True
    assert other.connection.principal == ALICE


@pytest.mark.parametrize("method", ["connect", "rpc.login"])
async def test_a_wrong_token_is_refused_and_counted(world: World, method: str) -> None:
    """By address, and whoever it was stays who he was."""
    talk = world.talk(NOBODY)
    for _ in range(20):
        with pytest.raises(Refusal, match="unauthenticated"):
            await talk.call(method, token="a-guess")
    with pytest.raises(Refusal, match="rate_limited") as caught:
        await world.talk(NOBODY).call(method, token="a-guess")
    assert caught.value.data["retry_after_ms"] == 2000
    assert talk.connection.principal == NOBODY
    assert "a-guess" not in str(talk.answers())


async def test_whoever_has_no_token_is_told(world: World) -> None:
    """Nothing is guessed."""
    with pytest.raises(Refusal, match=r"unauthenticated.*token"):
        await world.talk(NOBODY).call("connect")


async def test_a_handshake_may_have_carried_the_token(world: World) -> None:
    """Then `connect` only says who one is."""
    talk = world.talk(OPERATOR)
    assert (await talk.call("connect"))["principal"] == "olga"
    assert talk.connection.principal == OPERATOR


async def test_a_connection_can_only_become_less(world: World) -> None:
    """Asking for more gives what there is; asking for nothing that is there is refused."""
    talk = world.talk(ALICE)
    answer = await talk.call("connect", scopes=["read", "admin"])
    assert answer["scopes"] == ["read"]
    with pytest.raises(Refusal, match="forbidden"):
        await talk.call("send", text="x")
    answer = await talk.call("connect", scopes=["read", "chat"])
    assert answer["scopes"] == ["read"]
    for scopes in (["admin"], []):
        with pytest.raises(Refusal, match="forbidden"):
            await talk.call("connect", scopes=scopes)
    assert talk.connection.principal.scopes == {"read"}
    assert (await talk.call("connect", token=TOKEN))["scopes"] == ["chat", "read"]


async def test_an_admin_that_becomes_less_is_no_admin(world: World) -> None:
    """All scopes at once are given up with the one."""
    talk = world.talk(ADMIN)
    assert (await talk.call("connect", scopes=["read"]))["scopes"] == ["read"]
    for method in ("bindings.list", "sessions.new"):
        with pytest.raises(Refusal, match="forbidden"):
            await talk.call(method)


async def test_connecting_needs_a_connection(world: World) -> None:
    """Over HTTP every request carries its token."""
    with pytest.raises(Refusal, match="/ws"):
        await world.post("connect", {"token": TOKEN})


async def test_status_counts(world: World) -> None:
    """Under the names of today and of the predecessors."""
    talk, olga = world.talk(), world.talk(OPERATOR)
    await talk.call("connect", client={"name": "test"})
    for _ in range(3):
        await talk.call("turns.start", text="slow")
    await world.settled()
    await world.clock.advance(2.5)
    status = await olga.call("status")
    assert (status["running"], status["version"], status["model"]) == (True, "0.1.0", "scripted")
    assert (status["uptime_seconds"], status["uptime_secs"]) == (2.5, 2)
    assert (status["agents"], status["agent_count"]) == (1, 1)
    assert (status["bindings"], status["binding_count"]) == (0, 0)
    assert (status["turns_running"], status["turns_waiting"], status["sessions"]) == (1, 2, 1)
    assert status["connected_clients"] == 2
    assert {"principal": "alice", "client": "test"} in status["clients"]
    assert (await talk.call("status"))["clients"] == []


async def test_status_shows_operators_which_bound_is_reached(tmp_path: Path) -> None:
    """Others learn no more than that they are refused."""
    rules = [Rule("slow", "at last", latency_s=60)]
    async with open_world(tmp_path, rules=rules, turns=1) as world:
        talk, olga = world.talk(), world.talk(OPERATOR)
        for peer in ("p", "q"):
            await talk.call("turns.start", text="slow", peer_id=peer)
        await world.settled()
        bounds = {bound.pop("name"): bound for bound in (await olga.call("status"))["bounds"]}
        assert all(bound.pop("profile") == "" for bound in bounds.values())
        assert bounds["turns"] == {"used": 1, "total": 1, "waiting": 1, "reached": True}
        assert bounds["backlog"] == {"used": 1, "total": 500, "waiting": 0, "reached": False}
        assert bounds["memory"]["used"] > 0
        assert bounds["working"]["used"] == 0, "it waits for its model"
        assert bounds.keys() >= {"tools", "mailboxes", "accepting", "tasks"}
        assert (await talk.call("status"))["bounds"] == []


async def test_the_methods_are_told(world: World) -> None:
    """To anybody, by both names."""
    names = sorted(method.name for method in METHODS)
    assert await world.post("__listMethods", principal=NOBODY) == names
    document = await world.talk(NOBODY).call("rpc.discover")
    assert [method["name"] for method in document["methods"]] == names


async def test_taking_back_what_is_not_there_changes_nothing(world: World) -> None:
    """Also as a notification, as editors send it."""
    talk = world.talk(NOBODY)
    assert await talk.call("$/cancelRequest", id="nothing") == {"cancelled": False}
    await talk.send({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}})
    assert (await talk.call("__listMethods"))[0] == "$/cancelRequest"
