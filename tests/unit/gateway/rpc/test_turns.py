"""Saying something, waiting for the answer, looking at it, stopping it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.models.scripted import Rule
from gateway.core.clock import settle
from gateway.core.ids import SequentialIds
from gateway.core.keys import parse_route_key
from gateway.store.base.inputs import GetInput
from gateway.store.base.outbox import DeliveriesOfTurn
from gateway.store.base.store import Unit
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.rpc.talk import ALICE, BOB, OPERATOR, Refusal, World, open_world

SESSION = "agent:main:websocket:direct:alice%2Fws-client"


async def delivery_state(world: World, turn_id: str) -> str:
    await world.gateway.store.commit(Unit(()))  # behind what was posted, which nobody waits for
    (row,) = await world.gateway.store.read(DeliveriesOfTurn(turn_id))
    return row.state


async def state(world: World, turn_id: str) -> str:
    (row,) = await world.gateway.store.read(GetInput(turn_id))
    return row.state


async def test_send_answers_with_the_whole_reply(world: World) -> None:
    """As the predecessor's did, and with what one needs to go on."""
    answer = await world.talk().call("send", text="one two")
    assert answer["reply"] == "You said: one two"
    assert answer["parts"] == [{"type": "text", "text": "You said: one two"}]
    assert (answer["agent_id"], answer["session_key"]) == ("main", SESSION)
    assert (answer["state"], answer["kind"]) == ("answered", "")
    assert answer["answered_by"] == answer["turn_id"]
    assert answer["delivery_key"] == f"{answer['turn_id']}:1"


async def test_a_conversation_goes_on_over_both_ways_in(world: World) -> None:
    """The same peer over a socket and by POST is the same conversation."""
    first = await world.talk().call("send", text="one", peer_id="p")
    second = await world.post("send", {"text": "two", "peer_id": "p"})
    other = await world.post("send", {"text": "three", "peer_id": "q"})
    assert first["session_key"] == second["session_key"] != other["session_key"]


async def test_a_failed_turn_is_an_answer_with_its_kind(world: World) -> None:
    """The call worked; what the sender is told is the reply."""
    answer = await world.talk().call("send", text="fail auth")
    assert (answer["state"], answer["kind"]) == ("failed", "auth")
    assert answer["reply"]


async def test_start_answers_once_the_message_is_durable(world: World) -> None:
    """With how many are before it."""
    talk = world.talk()
    await talk.call("turns.start", text="slow")
    await world.settled()
    second = await talk.call("turns.start", text="more")
    third = await talk.call("turns.start", text="and more")
    assert (second["position"], third["position"]) == (0, 1)
    assert third["duplicate"] is False
    assert third["session_key"] == SESSION
    assert await state(world, third["turn_id"]) == "queued"


async def test_wait_is_told_of_the_end(world: World) -> None:
    """Whenever it comes, and however many wait."""
    talk, other = world.talk(), world.talk()
    turn_id = (await talk.call("turns.start", text="slow"))["turn_id"]
    waiting = [await one.request("turns.wait", {"turn_id": turn_id}) for one in (talk, other)]
    await world.settled()
    assert talk.find(waiting[0]) is None
    await world.clock.advance(5)
    for one, id in zip((talk, other), waiting, strict=True):
        assert (await one.answer(id))["result"]["reply"] == "at last"
    assert (await talk.call("turns.wait", turn_id=turn_id))["reply"] == "at last"


async def test_waiting_too_long_is_no_error(world: World) -> None:
    """The answer says how far it has come; the turn goes on."""
    talk = world.talk()
    id = await talk.request("send", {"text": "slow", "wait_ms": 1000})
    await world.settled()
    await world.clock.advance(1)
    answer = (await talk.answer(id))["result"]
    assert (answer["state"], answer["reply"], answer["parts"]) == ("running", None, [])
    assert answer["answered_by"] == answer["turn_id"]
    await world.clock.advance(5)
    assert (await talk.call("turns.wait", turn_id=answer["turn_id"]))["reply"] == "at last"


async def test_not_waiting_at_all_is_allowed(world: World) -> None:
    """A look at how far it is."""
    talk = world.talk()
    turn_id = (await talk.call("turns.start", text="slow"))["turn_id"]
    assert (await talk.call("turns.wait", turn_id=turn_id, wait_ms=0))["reply"] is None
    assert (await talk.call("send", text="slow", peer_id="q", wait_ms=0))["reply"] is None


async def test_who_waits_in_line_is_told_how_many_are_before(world: World) -> None:
    """When it is asked again, too: others before it may have left the line."""
    talk = world.talk()
    running = (await talk.call("turns.start", text="slow"))["turn_id"]
    await world.settled()
    sent = [await talk.call("turns.start", text=text) for text in ("one", "two", "three")]
    assert [each["position"] for each in sent] == [0, 1, 2]
    last = sent[2]["turn_id"]
    assert (await talk.call("turns.wait", turn_id=last, wait_ms=0))["position"] == 2
    await talk.call("turns.cancel", turn_id=sent[0]["turn_id"])
    await world.settled()
    assert (await talk.call("turns.get", turn_id=last))["position"] == 1
    assert (await talk.call("turns.get", turn_id=running))["position"] is None
    await world.clock.advance(5)
    assert (await talk.call("turns.wait", turn_id=last))["position"] is None


async def test_the_same_key_waits_for_the_same_turn(world: World) -> None:
    """After the connection broke, over another, while it runs and after its end."""
    first = world.talk()
    ask = {"text": "slow", "idempotency_key": "k1"}
    await first.request("send", ask)
    await world.settled()
    await first.session.close()
    again = world.talk()
    id = await again.request("send", ask)
    await world.settled()
    await world.clock.advance(5)
    answer = (await again.answer(id))["result"]
    assert answer["reply"] == "at last"
    started = await again.call("turns.start", **ask)
    assert (started["turn_id"], started["duplicate"]) == (answer["turn_id"], True)
    assert (await world.post("send", ask))["turn_id"] == answer["turn_id"]
    turns = (await again.call("turns.list"))["turns"]
    assert [turn["turn_id"] for turn in turns] == [answer["turn_id"]]


async def test_the_same_frame_a_hundred_times_is_one_turn(world: World) -> None:
    """From two connections at once."""
    talks = [world.talk(), world.talk()]
    ask = {"text": "hello there", "idempotency_key": "k1"}
    ids = [(talk, await talk.request("send", ask)) for _ in range(50) for talk in talks]
    answers = [(await talk.answer(id))["result"] for talk, id in ids]
    assert len({answer["turn_id"] for answer in answers}) == 1
    assert len({answer["reply"] for answer in answers}) == 1


async def test_a_key_for_another_message_is_a_conflict(world: World) -> None:
    """Another text, another place; another sender's key is another key."""
    talk = world.talk()
    await talk.call("send", text="one", idempotency_key="k1")
    others = (
        {"text": "two"},
        {"text": "one", "peer_id": "q"},
        {"text": "one", "agent_id": "main"},
    )
    for other in others:
        with pytest.raises(Refusal, match=r"conflict"):
            await talk.call("send", **other, idempotency_key="k1")
    bobs = await world.talk(BOB).call("send", text="two", idempotency_key="k1")
    assert bobs["reply"] == "You said: two"


async def test_closing_the_socket_ends_the_wait_and_not_the_turn(world: World) -> None:
    """The answer lies ready for whoever comes back."""
    talk = world.talk()
    await talk.request("send", {"text": "slow"})
    await world.settled()
    await talk.session.close()
    await world.clock.advance(5)
    await world.idle()
    back = world.talk()
    (turn,) = (await back.call("turns.list"))["turns"]
    assert turn["state"] == "answered"
    assert (await back.call("turns.get", turn_id=turn["turn_id"]))["reply"] == "at last"


async def test_taking_the_request_back_ends_the_wait_and_not_the_turn(world: World) -> None:
    """The turn has a method of its own for that."""
    talk = world.talk()
    await talk.request("send", {"text": "slow"}, id=5)
    await world.settled()
    assert (await talk.call("$/cancelRequest", id=5)) == {"cancelled": True}
    assert (await talk.answer(5))["error"]["code"] == -32800
    await world.clock.advance(5)
    await world.idle()
    (turn,) = (await talk.call("turns.list"))["turns"]
    assert turn["state"] == "answered"


async def test_a_message_taken_back_while_it_is_accepted_is_answered_all_the_same(
    world: World,
) -> None:
    """Cut at each step of the way in, it is either not there or it is answered: never stuck."""
    for steps in range(12):
        talk = world.talk()
        await talk.request("turns.start", {"text": f"n{steps}", "peer_id": f"p{steps}"}, id=1)
        await settle(steps)
        await talk.session.close()
    await world.rpc.close()
    await world.idle()
    turns = (await world.talk().call("turns.list"))["turns"]
    assert {turn["state"] for turn in turns} == {"answered"}


async def test_an_answer_counts_as_sent_once_it_was_written(world: World) -> None:
    """Before that it is available, and no worker touches it."""
    talk = world.talk()
    talk.connection.stall()
    id = await talk.request("send", {"text": "one"})
    await world.idle()
    await world.settled()
    (turn,) = (await world.post("turns.list"))["turns"]
    assert await delivery_state(world, turn["turn_id"]) == "available"
    talk.connection.flow()
    await talk.answer(id)
    await world.settled()
    assert await delivery_state(world, turn["turn_id"]) == "sent"


@pytest.mark.parametrize("way", ["turns.wait", "turns.get", "post"])
async def test_whoever_is_first_written_the_answer_has_it(world: World, way: str) -> None:
    """The result of a wait, a look at the turn, a POST."""
    turn_id = (await world.talk().call("turns.start", text="one"))["turn_id"]
    await world.idle()
    assert await delivery_state(world, turn_id) == "available"
    if way == "post":
        await world.post("turns.wait", {"turn_id": turn_id})
    else:
        await world.talk().call(way, turn_id=turn_id)
    await world.settled()
    assert await delivery_state(world, turn_id) == "sent"


async def test_who_waits_for_a_merged_message_is_told_how_far_its_turn_is(world: World) -> None:
    """It has not ended: `merged` would look like an end without an answer."""
    talk = world.talk()
    ids = [(await talk.call("turns.start", text="slow"))["turn_id"] for _ in range(3)]
    first = await talk.request("turns.wait", {"turn_id": ids[0]})
    await world.settled()
    await world.clock.advance(5)
    await talk.answer(first)
    await world.settled()
    assert (await talk.call("turns.get", turn_id=ids[2]))["state"] == "merged"
    answer = await talk.call("turns.wait", turn_id=ids[2], wait_ms=0)
    assert (answer["state"], answer["reply"]) == ("running", None)
    assert answer["answered_by"] == ids[1]


async def test_messages_that_wait_together_are_answered_together(world: World) -> None:
    """Each stays what it was; who waits for one is told which turn answered."""
    talk = world.talk()
    await talk.call("turns.start", text="slow")
    second = (await talk.call("turns.start", text="two"))["turn_id"]
    third = (await talk.call("turns.start", text="three"))["turn_id"]
    id = await talk.request("turns.wait", {"turn_id": third})
    await world.settled()
    await world.clock.advance(5)
    answer = (await talk.answer(id))["result"]
    assert (answer["turn_id"], answer["answered_by"]) == (third, second)
    assert answer["state"] == "answered"
    merged = await talk.call("turns.get", turn_id=third)
    assert (merged["state"], merged["merged_into"]) == ("merged", second)
    assert merged["reply"] == answer["reply"]
    assert (await talk.call("turns.wait", turn_id=third))["answered_by"] == second
    explained = await talk.call("turns.explain", turn_id=third)
    assert explained["merged"] == [third]
    assert explained["run"]["status"] == "completed"
    with pytest.raises(Refusal, match=r"conflict.*ended|conflict.*together"):
        await talk.call("turns.cancel", turn_id=third)


async def test_parts_reach_the_agent_and_come_back(world: World) -> None:
    """Words, pictures and files; the agent's view of them is its own."""
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image", "url": "https://example.org/a.png", "media_type": "image/png"},
        {
            "type": "file",
            "name": "a.pdf",
            "url": "data:application/pdf;base64,AA==",
            "media_type": "application/pdf",
        },
    ]
    talk = world.talk()
    answer = await talk.call("send", parts=parts)
    assert "[image]" in answer["reply"]
    turn = await talk.call("turns.get", turn_id=answer["turn_id"])
    assert turn["said"] == parts


async def test_turns_are_listed_in_pages(world: World) -> None:
    """Newest first; a page ends where the next begins, and the last has no next."""
    talk = world.talk()
    for n in range(5):
        await talk.call("send", text=str(n), peer_id=str(n % 2))
    pages = [await talk.call("turns.list", limit=2)]
    while pages[-1]["next_cursor"]:
        pages.append(await talk.call("turns.list", limit=2, cursor=pages[-1]["next_cursor"]))
    listed = [turn["turn_id"] for page in pages for turn in page["turns"]]
    assert len(listed) == len(set(listed)) == 5
    assert listed == sorted(listed, key=lambda id: -int(id[2:]))
    key = "agent:main:websocket:direct:alice%2F0"
    of_session = await talk.call("turns.list", session_key=key)
    assert len(of_session["turns"]) == 3
    assert {turn["session_key"] for turn in of_session["turns"]} == {key}


@pytest.mark.parametrize("cursor", ["x", "AAAA", "WzFd!", "WyJhIl0=", "WzEsMl0=", "WzFlMzBd", "ü"])
async def test_a_cursor_nobody_gave_out_is_refused(world: World, cursor: str) -> None:
    """By every list that takes one."""
    talk = world.talk(OPERATOR)
    for method in ("turns.list", "deliveries.list", "sessions.list"):
        with pytest.raises(Refusal, match=r"invalid.*cursor"):
            await talk.call(method, cursor=cursor)


async def test_a_running_turn_is_cancelled(world: World) -> None:
    """Who waits is told, and it stays so."""
    talk = world.talk()
    id = await talk.request("send", {"text": "slow"})
    await world.settled()
    (turn,) = (await talk.call("turns.list"))["turns"]
    assert await talk.call("turns.cancel", turn_id=turn["turn_id"]) == {"turn_id": turn["turn_id"]}
    assert (await talk.answer(id))["result"]["state"] == "cancelled"
    with pytest.raises(Refusal, match=r"conflict"):
        await talk.call("turns.cancel", turn_id=turn["turn_id"])


async def test_a_waiting_turn_is_cancelled_at_once(world: World) -> None:
    """Without ever having run."""
    talk = world.talk()
    await talk.call("turns.start", text="slow")
    queued = (await talk.call("turns.start", text="more"))["turn_id"]
    id = await talk.request("turns.wait", {"turn_id": queued})
    await world.settled()
    await talk.call("turns.cancel", turn_id=queued)
    answer = (await talk.answer(id))["result"]
    assert (answer["state"], answer["reply"]) == ("cancelled", None)


async def test_a_hundred_turns_on_one_socket(world: World) -> None:
    """All are accepted, status and cancel get through meanwhile, and all are answered."""
    talk = world.talk()
    ids = [await talk.request("send", {"text": "slow", "peer_id": f"p{n}"}) for n in range(100)]
    await world.settled()
    status = await talk.call("status")
    assert (status["turns_running"], status["turns_waiting"]) == (100, 0)
    turns = (await talk.call("turns.list"))["turns"]
    assert len(turns) == 100
    await talk.call("turns.cancel", turn_id=turns[0]["turn_id"])
    async with asyncio.timeout(PATIENCE_S):
        while any(talk.find(id) is None for id in ids):
            await world.clock.advance(5)
            await world.settled()
    states = [(await talk.answer(id))["result"]["state"] for id in ids]
    assert sorted(set(states)) == ["answered", "cancelled"]
    assert states.count("cancelled") == 1


async def test_a_full_mailbox_is_told_with_its_depth(world: World) -> None:
    """Nothing was accepted, and when to try again; what is stopped makes room at once."""
    talk = world.talk()
    await talk.call("turns.start", text="slow")
    waiting = [await talk.call("turns.start", text=f"//n{n}") for n in range(20)]
    with pytest.raises(Refusal, match=r"busy.*20") as caught:
        await talk.call("turns.start", text="one too many")
    assert caught.value.data["retryable"] is True
    assert caught.value.data["retry_after_ms"] > 0
    await talk.call("turns.cancel", turn_id=waiting[7]["turn_id"])
    assert (await talk.call("turns.start", text="now it fits"))["position"] == 19


async def test_an_unknown_agent_is_told_before_anything_is_kept(world: World) -> None:
    """With a hint."""
    talk = world.talk()
    with pytest.raises(Refusal, match=r"unknown_agent.*did you mean 'main'"):
        await talk.call("send", text="x", agent_id="mian")
    assert (await talk.call("turns.list"))["turns"] == []


async def test_an_operator_speaks_for_any_place(world: World) -> None:
    """The reply goes there too, and the operator has it as well."""
    talk = world.talk(OPERATOR)
    answer = await talk.call(
        "send", text="hi there", channel="memory", peer_id="42", account_id="default"
    )
    assert answer["session_key"] == "agent:main:memory:direct:42"
    (shown,) = await world.memory.wait_sent(1)
    assert shown.text == answer["reply"]
    grouped = await talk.call(
        "send", text="yo", channel="memory", peer_id="42", group_id="g", thread_id="t"
    )
    (row,) = await world.gateway.store.read(GetInput(grouped["turn_id"]))
    route = parse_route_key(row.route_key)
    assert (route.group, route.thread, route.peer) == ("g", "t", "42")


async def test_a_peer_of_any_account_gets_its_answer(world: World) -> None:
    """Accounts are for routing; the one channel of clients serves them all."""
    answer = await world.talk().call("send", text="one", account_id="work", guild_id="g")
    assert answer["state"] == "answered"
    assert await delivery_state(world, answer["turn_id"]) in ("available", "sent")


async def test_explain_tells_steps_without_words(world: World) -> None:
    """Model, tokens and tools; what was said stays in the transcript."""
    talk = world.talk()
    answer = await talk.call("send", text="time?")
    explained = await talk.call("turns.explain", turn_id=answer["turn_id"])
    assert [step["kind"] for step in explained["steps"]] == ["logic", "llm", "tool", "llm"]
    assert explained["steps"][1]["model"] == "scripted"
    assert explained["steps"][1]["output_tokens"] > 0
    assert explained["route"] == "default"
    assert "It is" not in str(explained)
    failed = await talk.call("send", text="fail rate", peer_id="q")
    steps = (await talk.call("turns.explain", turn_id=failed["turn_id"]))["steps"]
    assert steps[-1]["failed"] == "rate"
    queued = await talk.call("turns.start", text="slow", peer_id="z")
    behind = await talk.call("turns.start", text="b", peer_id="z")
    assert queued
    waiting = await talk.call("turns.explain", turn_id=behind["turn_id"])
    assert (waiting["run"], waiting["steps"], waiting["timing"]["started_at"]) == (None, [], None)


async def test_idempotency_holds_over_a_restart(tmp_path: Path) -> None:
    """The key is in the store, and so is the turn."""
    path = str(tmp_path / "turngate.db")
    ask = {"text": "one", "idempotency_key": "k1"}
    ids = SequentialIds()
    async with open_world(tmp_path, store=path, ids=ids) as world:
        first = await world.talk().call("send", **ask)
    rules = [Rule("one", "another")]
    async with open_world(tmp_path, store=path, ids=ids, rules=rules) as world:
        again = await world.talk(ALICE).call("send", **ask)
    assert again == first
