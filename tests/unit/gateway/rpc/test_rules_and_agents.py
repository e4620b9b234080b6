"""Rules and agents that live in the store: they answer at once, and after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import ConfigError
from gateway.core.ids import SequentialIds
from tests.unit.gateway.rpc.talk import ADMIN, ALICE, OPERATOR, Refusal, World, open_world

DECLARED = """{"default_agent": "main", "bindings": [
  {"id": "chat", "agent": "main", "match": {"channel": "discord"}}
]}"""


async def resolved(world: World, **route: str) -> Any:
    return await world.talk(OPERATOR).call("routes.resolve", **route)


async def luna(world: World) -> None:
    await world.talk(ADMIN).call("agents.register", id="luna", name="Luna")


async def test_a_rule_holds_for_the_next_message(world: World) -> None:
    """In the older spelling, as users know it."""
    await luna(world)
    talk = world.talk(ADMIN)
    for n, (key, value, route) in enumerate(
        [
            ("peer_id", "telegram:42", {"channel": "telegram", "peer_id": "42"}),
            ("guild_id", "g1", {"channel": "x", "guild_id": "g1"}),
            ("account_id", "work", {"channel": "x", "account_id": "work"}),
            ("channel", "signal", {"channel": "signal"}),
        ]
    ):
        assert (await resolved(world, **route))["agent_id"] == "main"
        done = await talk.call(
            "bindings.set", agent_id="Luna", tier=n + 1, match_key=key, match_value=value
        )
        assert (done["ok"], done["replaced"]) == (True, False)
        answer = await resolved(world, **route)
        assert (answer["agent_id"], answer["why"], answer["binding_id"]) == (
            "luna",
            "binding",
            done["id"],
        )
    listed = (await talk.call("bindings.list"))["bindings"]
    assert [rule["tier"] for rule in listed] == [1, 2, 3, 4]
    assert {rule["source"] for rule in listed} == {"added"}


async def test_a_rule_may_have_several_fields(world: World) -> None:
    """All of them must fit."""
    await luna(world)
    talk = world.talk(ADMIN)
    match = {"channel": "x", "peer": "7"}
    await talk.call("bindings.set", agent_id="luna", match=match, id="seven")
    assert (await resolved(world, channel="x", peer_id="7"))["agent_id"] == "luna"
    assert (await resolved(world, channel="x", peer_id="8"))["agent_id"] == "main"
    assert (await resolved(world, channel="y", peer_id="7"))["agent_id"] == "main"
    again = await talk.call("bindings.set", agent_id="main", match={"channel": "x"}, id="seven")
    assert again["replaced"] is True
    assert (await resolved(world, channel="x", peer_id="7"))["agent_id"] == "main"
    (rule,) = (await talk.call("bindings.list"))["bindings"]
    assert (rule["id"], rule["match"], rule["origin"]) == ("seven", {"channel": "x"}, "the store")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"agent_id": "nobody"}, "unknown_agent"),
        ({"agent_id": "man"}, "did you mean 'main'"),
        ({"agent_id": "!!"}, "letter or a digit"),
        ({"agent_id": "main", "match_key": "channel"}, "match_value"),
        ({"agent_id": "main", "match_key": "peer_id", "match_value": "42"}, "channel:peer"),
        ({"agent_id": "main", "match_key": "channel", "match_value": "*"}, "wildcard"),
        ({"agent_id": "main", "tier": 2, "match_key": "channel", "match_value": "x"}, "tier"),
        ({"agent_id": "main", "match": {"peer": "7"}}, "channel"),
        ({"agent_id": "main", "match": {}, "match_key": "default"}, "unknown member"),
        ({"agent_id": "main", "priority": 2**40}, "priority"),
    ],
)
async def test_a_rule_that_cannot_be_meant_is_refused(
    world: World, params: dict[str, Any], said: str
) -> None:
    """And nothing of it is kept."""
    talk = world.talk(ADMIN)
    with pytest.raises(Refusal, match=said):
        await talk.call("bindings.set", **params)
    assert (await talk.call("bindings.list"))["bindings"] == []


async def test_a_rule_that_can_never_win_is_kept_and_told(world: World) -> None:
    """It may be meant for later."""
    talk = world.talk(ADMIN)
    await talk.call("bindings.set", agent_id="main", match_key="channel", match_value="x")
    done = await talk.call(
        "bindings.set", agent_id="main", match_key="channel", match_value="x", id="again"
    )
    assert any("repeats" in warning for warning in done["warnings"])


async def test_a_rule_is_removed(world: World) -> None:
    """By what it says or by its id; a second time there is none."""
    talk = world.talk(ADMIN)
    for removal in (
        {"agent_id": "main", "match_key": "channel", "match_value": "x"},
        {"agent_id": "main", "match": {"channel": "x"}},
        {"id": "main:channel=x"},
    ):
        await talk.call("bindings.set", agent_id="main", match_key="channel", match_value="x")
        done = await talk.call("bindings.remove", **removal)
        assert done == {"removed": True, "ids": ["main:channel=x"]}
        assert (await talk.call("bindings.remove", **removal))["removed"] is False
    with pytest.raises(Refusal, match="invalid"):
        await talk.call("bindings.remove")


async def test_a_declared_rule_is_changed_in_its_file(tmp_path: Path) -> None:
    """The refusal names it; an added one may not take its id."""
    async with open_world(tmp_path, routes=DECLARED) as world:
        talk = world.talk(ADMIN)
        for removal in ({"id": "chat"}, {"agent_id": "main", "match": {"channel": "discord"}}):
            with pytest.raises(Refusal, match=r"conflict.*routes\.json"):
                await talk.call("bindings.remove", **removal)
        with pytest.raises(Refusal, match=r"conflict.*routes\.json"):
            await talk.call("bindings.set", agent_id="main", match={}, id="chat")
        listed = await talk.call("bindings.list")
        (rule,) = listed["bindings"]
        assert rule["source"] == "declared"
        assert "routes.json at $.bindings[0]" in rule["origin"]
        assert (listed["default_agent"], listed["problems"]) == ("main", [])


async def test_the_decision_is_explained(tmp_path: Path) -> None:
    """Every rule that was asked, and why it did not match."""
    async with open_world(tmp_path, routes=DECLARED) as world:
        talk = world.talk(OPERATOR)
        told = await talk.call("routes.explain", channel="telegram", peer_id="42")
        assert told["tried"][0]["differences"] == [
            {"field": "channel", "wanted": "discord", "came": "telegram"}
        ]
        assert (told["agent_id"], told["why"], told["refused"]) == ("main", "default", None)
        assert "agent main, by default" in told["text"]
        refused = await talk.call("routes.explain", agent_id="nobody")
        assert refused["agent_id"] is None
        assert "nobody" in refused["refused"]
        with pytest.raises(Refusal, match=r"unknown_agent.*nobody"):
            await talk.call("routes.resolve", agent_id="nobody")


async def test_a_registered_agent_answers_at_once(world: World) -> None:
    """Under its normal id, with the settings it was given."""
    talk = world.talk(ADMIN)
    done = await talk.call(
        "agents.register", id="Big Luna", name="Luna", model="m1", dm_scope="per-peer"
    )
    assert done == {"ok": True, "id": "big-luna", "replaced": False}
    answer = await world.talk(ALICE).call("send", text="x", agent_id="big-luna")
    assert answer["agent_id"] == "big-luna"
    assert answer["state"] == "answered"
    listed = (await world.talk(ALICE).call("agents.list"))["agents"]
    assert [(agent["id"], agent["source"]) for agent in listed] == [
        ("big-luna", "added"),
        ("main", "declared"),
    ]
    assert (listed[0]["model"], listed[0]["dm_scope"]) == ("m1", "per-peer")
    again = await talk.call("agents.register", id="big luna", name="Luna 2")
    assert again["replaced"] is True


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"id": "main", "name": "x"}, "conflict.*declared"),
        ({"id": "☃", "name": "x"}, "invalid.*id"),
        ({"id": "a", "name": "x", "workspace_dir": "/etc"}, "invalid.*within"),
        ({"id": "a", "name": "x", "workspace_dir": "../.."}, "invalid.*within"),
        ({"id": "a", "name": "x", "workspace_dir": "missing"}, "invalid.*no such folder"),
        ({"id": "a", "name": "x", "workspace_dir": "a\x00b"}, "invalid.*not a path"),
        ({"id": "a", "name": "x", "workspace_dir": "x" * 400}, "invalid.*not a path"),
        ({"id": "a", "name": "x", "workspace_dir": "way-out"}, "invalid.*within"),
        ({"id": "a", "name": "x", "dm_scope": "everybody"}, "invalid.*dm_scope"),
    ],
)
async def test_an_agent_that_cannot_be_is_refused(
    world: World, tmp_path: Path, params: dict[str, str], said: str
) -> None:
    """No name of somebody else's, no folder outside of the workspace."""
    (tmp_path / "workspace" / "way-out").symlink_to("/etc")
    with pytest.raises(Refusal, match=said):
        await world.talk(ADMIN).call("agents.register", **params)


async def test_an_agent_is_removed_once_nothing_names_it(world: World) -> None:
    """Its conversations stay."""
    talk = world.talk(ADMIN)
    await luna(world)
    turn = await talk.call("send", text="x", agent_id="luna")
    await talk.call("bindings.set", agent_id="luna", match_key="channel", match_value="x")
    with pytest.raises(Refusal, match=r"conflict.*luna:channel=x"):
        await talk.call("agents.remove", id="luna")
    await talk.call("bindings.remove", id="luna:channel=x")
    assert await talk.call("agents.remove", id="Luna") == {"id": "luna"}
    with pytest.raises(Refusal, match="not_found"):
        await talk.call("agents.remove", id="luna")
    with pytest.raises(Refusal, match="conflict"):
        await talk.call("agents.remove", id="main")
    with pytest.raises(Refusal, match="unknown_agent"):
        await talk.call("send", text="x", agent_id="luna")
    assert (await talk.call("turns.get", turn_id=turn["turn_id"]))["reply"]


async def test_what_was_added_survives_a_restart(tmp_path: Path) -> None:
    """Rules in their order, agents with their settings."""
    path, ids = str(tmp_path / "turngate.db"), SequentialIds()
    async with open_world(tmp_path, store=path, ids=ids) as world:
        talk = world.talk(ADMIN)
        await talk.call("agents.register", id="luna", name="Luna", system_prompt="Rhyme.")
        for channel in ("b", "a"):
            await talk.call("bindings.set", agent_id="luna", match={"channel": channel})
        # A spelling without room for the channel, which only the older one may use.
        await talk.call("bindings.set", agent_id="luna", match_key="guild_id", match_value="g1")
        before = [await talk.call("bindings.list"), await talk.call("agents.list")]
        agent = world.gateway.agents.get(world.gateway.agents.ids()[0])
    async with open_world(tmp_path, store=path, ids=ids) as world:
        talk = world.talk(ADMIN)
        after = [await talk.call("bindings.list"), await talk.call("agents.list")]
        assert after == before
        assert world.gateway.agents.get(world.gateway.agents.ids()[0]) == agent
        assert (await resolved(world, channel="a"))["agent_id"] == "luna"
        assert (await talk.call("send", text="x", channel="memory", agent_id="luna"))["reply"]


async def test_an_id_that_is_declared_and_added_stops_the_start(tmp_path: Path) -> None:
    """Which of the two was meant is for people to say; the message names both."""
    path, ids = str(tmp_path / "turngate.db"), SequentialIds()
    async with open_world(tmp_path, store=path, ids=ids) as world:
        await luna(world)
        await world.talk(ADMIN).call("bindings.set", agent_id="main", match={}, id="chat")
    with pytest.raises(ConfigError, match="'chat'"):
        async with open_world(tmp_path, store=path, ids=ids, routes=DECLARED):
            pass
    (tmp_path / "workspace" / "routes.json").unlink()
    folder = tmp_path / "workspace" / ".agents" / "luna"
    folder.mkdir(parents=True)
    (folder / "AGENT.md").write_text("You are the declared Luna.")
    with pytest.raises(ConfigError, match=r"'luna'.*declared.*agents\.remove"):
        async with open_world(tmp_path, store=path, ids=ids, declared=True):
            pass
