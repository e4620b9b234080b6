"""Commands as somebody on a channel gives them: in order, durable, answered like messages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.commands.catalog import COMMANDS
from gateway.core.parts import Image
from gateway.identity.principal import Scope
from gateway.rpc.catalog import METHODS
from gateway.store.base.inputs import FindInput
from tests.support.house import House, inbound, open_house

SESSION = "agent:main:memory:direct:ann"
EVERYTHING = frozenset({"read", "chat", "operator", "admin"})


async def operator(house: House, text: str, *, peer: str = "ann") -> str:
    """The answer to a command of somebody who may do everything."""
    seen = len(house.channel.sent)
    await house.send(replace(inbound(text, peer=peer), scopes=EVERYTHING))
    await house.idle()
    (answer,) = house.channel.sent[seen:]
    return answer.text


async def test_a_conversation_is_put_aside_and_gone_on_with(house: House) -> None:
    await house.ask("first")
    assert "/load first goes on with it" in await house.ask("/new plans")
    assert await house.transcript(SESSION) == []
    await house.ask("second")
    listed = (await house.ask("/list")).splitlines()
    assert listed[0].startswith("* plans: 2 messages")
    assert listed[1].startswith("- first: 2 messages")
    assert await house.ask("/load FIR") == "This is 'first', with 2 messages."
    assert [len(await house.transcript(SESSION)), len(listed)] == [2, 2]
    assert "- plans: 2 messages" in await house.ask("/list")
    assert await house.ask("third") == "You said: third"
    assert len(await house.transcript(SESSION)) == 4


async def test_models_never_see_commands(house: House) -> None:
    """Neither what was typed nor what was answered, also where it failed."""
    await house.ask("one")
    for command in ("/list", "/help", "/load nothing", "/nonsense", "/label x", "/context"):
        await house.ask(command)
    await house.ask("two")
    said = [str(message) for message in await house.transcript(SESSION)]
    assert len(said) == 4
    assert not any("/" in each for each in said)


async def test_a_snapshot_stays_as_it_was(house: House) -> None:
    """It is a copy with words of its own; the same name replaces it."""
    await house.ask("one")
    assert await house.ask("/save Before the storm") == (
        "Saved as 'Before the storm', with 2 messages."
    )
    await house.ask("two")
    await house.ask("/load before")
    assert len(await house.transcript(SESSION)) == 2
    await house.ask("/save Before the storm")
    listed = (await house.ask("/list")).splitlines()
    here, *others = [line.partition(":")[0] for line in listed]
    assert here == "* Before the storm"
    assert sorted(others) == ["- Before the storm", "- one"]


async def test_what_several_labels_begin_with_is_asked_back(house: House) -> None:
    for text in ("plan a", "plan b"):
        await house.ask(text)
        await house.ask("/new")
    assert "several conversations begin with 'plan'" in await house.ask("/load plan")
    assert "no conversation begins with 'x'; there are: 'plan" in await house.ask("/load x")
    assert "/load needs the beginning of a label" in await house.ask("/load")


async def test_nobody_finds_what_others_put_aside(house: House) -> None:
    """Neither by its name nor in a list, with the same credential."""
    await house.ask("secret of ann")
    await house.ask("/new")
    assert "secret" not in await house.ask("/list", peer="bob")
    refused = await house.ask("/load secret", peer="bob")
    assert refused == "no conversation begins with 'secret'; there are: none is kept here."


async def test_turns_are_taken_back(house: House) -> None:
    for text in ("one", "two", "three"):
        await house.ask(text)
    assert await house.ask("/undo 2") == "The last 2 turns are taken back; 2 messages left."
    assert await house.ask("/undo x") == "/undo takes a number from 1 to 1000, got 'x'."
    assert await house.ask("/undo") == "The last turn is taken back; 0 messages left."
    assert await house.ask("/undo") == "There is nothing to take back."


async def test_commands_that_change_have_their_place_in_the_order(house: House) -> None:
    """What was said before belongs to the old conversation, what comes after to the new one."""
    await house.say("hold a")
    await house.reached("a")
    await house.say("/new")
    await house.say("after")
    house.release("a")
    await house.idle()
    assert [message.text[:20] for message in house.channel.sent] == [
        "You said: hold a",
        "This is a new conver",
        "You said: after",
    ]
    assert len(await house.transcript(SESSION)) == 2


async def test_some_commands_wait_for_nothing(house: House) -> None:
    """Also where the mailbox is full."""
    await house.say("hold a")
    await house.reached("a")
    for number in range(20):
        await house.say(f"//{number}")
    status = await house.say("/status")
    await house.quiet()
    assert await house.state(status.turn_id) == "answered"
    assert "1 running, 20 waiting" in house.channel.sent[-1].text
    stopping = await house.say("/stop")
    await house.channel.wait_sent(2)
    assert await house.state(stopping.turn_id) == "answered"
    assert house.channel.sent[-1].text == "Stopping it."
    await house.idle()
    assert "[stopped]" in house.channel.sent[2].text


async def test_a_command_that_nobody_knows_is_answered_with_the_nearest(house: House) -> None:
    answer = await house.ask("/lsit me")
    assert answer == (
        "There is no command /lsit: did you mean '/list'? To say it as text, begin with //lsit."
    )
    assert await house.ask("//lsit me") == "You said: /lsit me"
    assert await house.ask("/etc/hosts?") == "You said: /etc/hosts?"


async def test_a_command_beside_a_picture_is_a_message(house: House) -> None:
    await house.say("/new", Image("https://example.org/a.png"))
    await house.idle()
    assert house.channel.sent[0].text == "You said: /new\n[image]"


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command.scope is Scope.OPERATOR]
)
async def test_what_needs_a_scope_is_refused_without(house: House, command: object) -> None:
    """And does not show in the list of commands either."""
    name = command.name  # type: ignore[attr-defined]  # pytest gives objects
    refused = await house.ask(f"/{name} memory stop")
    assert refused == f"/{name} needs the scope 'operator', which you do not have here."
    assert f"/{name}" not in await house.ask("/help")
    assert f"/{name}" in await operator(house, "/help")


async def test_channels_are_steered_by_operators(house: House) -> None:
    assert await operator(house, "/channels") == "memory/default: running"
    assert "has no channel 'x'" in await operator(house, "/channels x stop")
    assert "takes [channel]" in await operator(house, "/channels memory explode")


async def test_a_command_sent_again_is_carried_out_once(house: House) -> None:
    """By the sender's id, waiting or not."""
    await house.ask("one")
    await house.ask("two")
    for text in ("/undo", "/status"):
        message = replace(inbound(text), external_id=f"x{text}")
        first = await house.send(message)
        again = await house.send(message)
        assert (again.turn_id, again.duplicate) == (first.turn_id, True)
    await house.idle()
    assert len(await house.transcript(SESSION)) == 2


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize(
    ("command", "left", "kept"),
    [("/new", 0, ["now", "old"]), ("/undo", 2, ["old"]), ("/save kept", 4, ["kept", "old"]),
     ("/load old", 2, ["now"])],
)  # fmt: skip
async def test_a_command_that_was_cut_is_carried_out_once(
    tmp_path: Path, command: str, left: int, kept: list[str], written: bool
) -> None:
    """The process dies at each commit of it; sent again it has the one effect it would have had."""
    for commit in range(1, 7):
        folder = tmp_path / str(commit)
        folder.mkdir()
        async with open_house(House(folder)) as house:
            await house.ask("older")
            await house.ask("/label old")
            await house.ask("/new now")
            for text in ("one", "two"):
                await house.ask(text)
            house.store.cut_at(commit, written=written)
            message = replace(inbound(command), external_id="x1")
            await house.while_alive(house.send(message))
            if not house.store.dead.is_set():
                await house.quiet()
            await house.again()
            await house.send(message)
            await house.idle()
            assert len(await house.transcript(SESSION)) == left
            (ended,) = await house.store.read(FindInput("memory", "default", "x1"))
            assert ended.state == "answered"
            here = gateway_list(await house.ask("/list"))
            assert sorted(here) == kept


def gateway_list(text: str) -> list[str]:
    """The labels of what is kept, without the current conversation."""
    return [line[2:].partition(":")[0] for line in text.splitlines() if line.startswith("- ")]


def test_twins_of_commands_are_methods() -> None:
    """What a person can do a program can."""
    names = {method.name for method in METHODS}
    assert {command.twin for command in COMMANDS if command.twin} <= names


def test_words_of_commands_are_unique() -> None:
    words = [word for command in COMMANDS for word in (command.name, *command.aliases)]
    assert len(words) == len(set(words))
