"""Following the log: from any number, without gap or repetition, and only while one may."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.core.clock import settle
from gateway.core.errors import StoreUnavailable
from gateway.core.ids import TurnId, seeded_chance
from gateway.core.retrying import RETRY_S
from gateway.core.tasks import TaskOwner
from gateway.events.kinds import Kind
from gateway.events.log import EventLog, Filter
from gateway.events.previews import Preview
from gateway.rpc.call import Client
from gateway.rpc.entries import Entries
from gateway.rpc.stream import CAUGHT_UP_S, Stream, Wish
from gateway.rpc.subscriptions import MAX_OF_CREDENTIAL, MAX_STREAMS, ConnectionSubscriptions
from gateway.store.base.query import Query
from gateway.store.base.retention import PruneEvents, RaiseLogFloor
from gateway.store.base.store import Listener, NewEvent, Receipt, Store, Unit
from gateway.wire.methods.events import EventEntry
from tests.unit.gateway.rpc.talk import ALICE, BOB, OPERATOR, Refusal, Talk, World, open_world

SESSION = "agent:main:websocket:direct:alice%2Fws-client"


OWNER = TaskOwner("test", lambda name, error: None)
Row = TypeVar("Row")


class Away:
    """A store that does not answer reads while it is `away`."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.away = False

    async def read(self, query: Query[Row]) -> list[Row]:
        if self.away:
            raise StoreUnavailable("away")
        return await self._inner.read(query)

    async def commit(self, unit: Unit) -> Receipt:
        return await self._inner.commit(unit)

    def post(self, unit: Unit) -> None:
        self._inner.post(unit)

    def listen(self, listener: Listener) -> None:
        self._inner.listen(listener)

    async def close(self) -> None:
        await self._inner.close()


def seqs(talk: Talk, subscription: str = "") -> list[int]:
    return [
        note["seq"]
        for note in talk.notes("events.event")
        if subscription in ("", note["subscription"])
    ]


async def events(talk: Talk, count: int) -> list[dict[str, Any]]:
    """The first `count` events, once they are there."""
    await talk.connection.until(lambda: len(talk.notes("events.event")) >= count)
    return [note["result"] for note in talk.notes("events.event")[:count]]


async def test_a_subscription_follows_what_happens(world: World) -> None:
    """From now on by default; the notification is an ordinary one, with everything to resume."""
    talk = world.talk()
    await talk.call("send", text="before")
    subscribed = await talk.call("events.subscribe")
    assert subscribed["seq"] == 3
    turn_id = (await talk.call("send", text="after"))["turn_id"]
    found = await events(talk, 3)
    assert [event["kind"] for event in found] == [
        "input.accepted",
        "turn.started",
        "turn.completed",
    ]
    assert {event["turn_id"] for event in found} == {turn_id}
    assert found[0]["text"] == "after"
    assert found[2]["text"] == "You said: after"
    assert found[2]["parts"] == [{"type": "text", "text": "You said: after"}]
    assert found[2]["data"] == {"delivery_key": f"{turn_id}:1"}
    notes = talk.notes("events.event")
    assert [(note["prev_seq"], note["seq"]) for note in notes] == [(3, 4), (4, 5), (5, 6)]
    assert {note["subscription"] for note in notes} == {subscribed["subscription"]}
    for event in found:
        EventEntry.model_validate(event)


async def test_the_stream_begins_behind_its_own_answer(world: World) -> None:
    """So that a client knows the id before it is used."""
    talk = world.talk()
    await talk.call("send", text="one")
    talk.connection.stall()
    id = await talk.request("events.subscribe", {"after_seq": 0})
    await settle()
    assert not talk.connection.notes
    talk.connection.flow()
    await talk.answer(id)
    await events(talk, 3)


async def test_a_stream_is_resumed_by_its_number(world: World) -> None:
    """A number beyond the end is the end."""
    talk = world.talk()
    for n in range(3):
        await talk.call("send", text=str(n))
    await talk.call("events.subscribe", after_seq=4)
    await events(talk, 5)
    assert seqs(talk) == [5, 6, 7, 8, 9]
    assert (await talk.call("events.subscribe", after_seq=10**6))["seq"] == 9


async def test_being_live_is_told_once(world: World) -> None:
    """Whether there was something to tell or not."""
    talk = world.talk()
    await talk.call("events.subscribe")
    assert (await talk.note("events.caught_up"))["seq"] == 0
    await talk.call("send", text="one")
    again = await talk.call("events.subscribe", after_seq=1)
    note = await talk.note("events.caught_up", 2)
    assert (note["subscription"], note["seq"], note["prev_seq"]) == (again["subscription"], 3, 3)
    await talk.call("send", text="two")
    await world.settled()
    assert len(talk.notes("events.caught_up")) == 2


async def test_hidden_entries_move_a_stream_on_now_and_then(world: World) -> None:
    """Not with every one of them: others' traffic costs a client next to nothing."""
    talk, bob = world.talk(ALICE), world.talk(BOB)
    await talk.call("events.subscribe")
    await talk.note("events.caught_up")
    for n in range(5):
        await bob.call("send", text=str(n))
    await world.settled()
    assert len(talk.connection.notes) == 1
    await world.clock.advance(CAUGHT_UP_S)
    await bob.call("send", text="more")
    note = await talk.note("events.caught_up", 2)
    assert note["prev_seq"] == 0
    assert 15 < note["seq"] <= 18
    await talk.call("send", text="mine")
    (event, *_) = await events(talk, 3)
    first = talk.notes("events.event")[0]
    assert (first["prev_seq"], event["kind"]) == (note["seq"], "input.accepted")


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        ({"kinds": ["turn."]}, {"turn.started", "turn.completed"}),
        ({"kinds": ["turn.completed", "input."]}, {"turn.completed", "input.accepted"}),
        ({"session_key": SESSION}, {"input.accepted", "turn.started", "turn.completed"}),
        ({"agent_id": "main", "kinds": ["turn.started"]}, {"turn.started"}),
        ({"agent_id": "luna"}, set()),
        ({"turn_id": "t_999"}, set()),
    ],
)
async def test_a_filter_chooses(world: World, wanted: dict[str, Any], kinds: set[str]) -> None:
    """In streams and in pages alike."""
    talk = world.talk()
    await talk.call("send", text="one")
    await talk.call("events.subscribe", after_seq=0, filter=wanted)
    await talk.note("events.caught_up")
    assert {note["result"]["kind"] for note in talk.notes("events.event")} == kinds
    page = await talk.call("events.list", filter=wanted)
    assert {event["kind"] for event in page["events"]} == kinds
    assert (page["next_after_seq"], page["head"]) == (3, 3)


async def test_entries_gone_by_age_are_a_gap(world: World) -> None:
    """Told, counted, and the stream goes on behind it."""
    talk = world.talk()
    for n in range(3):
        await talk.call("send", text=str(n))
    await world.gateway.store.commit(Unit((PruneEvents(0, 4, 100), RaiseLogFloor())))
    world.gateway.log.forget()
    subscribed = await talk.call("events.subscribe", after_seq=1)
    gap = await talk.note("events.gap")
    assert gap == {
        "subscription": subscribed["subscription"],
        "seq": 5,
        "prev_seq": 1,
        "gap": 4,
    }
    await events(talk, 4)
    assert seqs(talk) == [6, 7, 8, 9]
    assert talk.notes("events.event")[0]["prev_seq"] == 5
    page = await talk.call("events.list", after_seq=1, limit=2)
    assert (page["gap"], [event["seq"] for event in page["events"]]) == (4, [6, 7])
    assert (await talk.call("events.list", after_seq=7))["gap"] == 0


async def test_the_log_is_read_in_pages(world: World) -> None:
    """Until the end is reached, however small the pages."""
    talk = world.talk()
    for n in range(4):
        await talk.call("send", text=str(n))
    after, found = 0, []
    while True:
        page = await talk.call("events.list", after_seq=after, limit=5)
        found += [event["seq"] for event in page["events"]]
        after = page["next_after_seq"]
        if after == page["head"]:
            break
    assert found == list(range(1, 13))
    assert (await talk.call("events.list", after_seq=10**9))["events"] == []


async def test_a_stream_is_ended(world: World) -> None:
    """By its id, once; others go on."""
    talk = world.talk()
    ended = (await talk.call("events.subscribe"))["subscription"]
    kept = (await talk.call("events.subscribe"))["subscription"]
    assert (await talk.call("events.unsubscribe", subscription=ended)) == {"ended": True}
    assert (await talk.call("events.unsubscribe", subscription=ended)) == {"ended": False}
    await talk.call("send", text="one")
    await events(talk, 3)
    assert seqs(talk, ended) == []
    assert seqs(talk, kept) == [1, 2, 3]


async def test_anothers_stream_cannot_be_ended(world: World) -> None:
    """Ids are a connection's own."""
    one, other = world.talk(), world.talk()
    id = (await one.call("events.subscribe"))["subscription"]
    assert (await other.call("events.unsubscribe", subscription=id)) == {"ended": False}
    await one.call("send", text="one")
    await events(one, 3)


async def test_streams_of_a_connection_are_bounded(world: World) -> None:
    """And end with it."""
    talk = world.talk()
    for _ in range(MAX_STREAMS):
        await talk.call("events.subscribe")
    with pytest.raises(Refusal, match="busy"):
        await talk.call("events.subscribe")
    await talk.session.close()
    seen = len(talk.connection.notes)
    await world.talk().call("send", text="one")
    await world.settled()
    assert len(talk.connection.notes) == seen


async def test_streams_of_a_credential_are_bounded_over_all_its_connections(world: World) -> None:
    """An unlimited number of sockets is no unlimited number of streams; others have their own."""
    talks = [world.talk() for _ in range(MAX_OF_CREDENTIAL // MAX_STREAMS + 1)]
    *full, last = talks
    for talk in full:
        for _ in range(MAX_STREAMS):
            await talk.call("events.subscribe")
    with pytest.raises(Refusal, match="over all of its"):
        await last.call("events.subscribe")
    await world.talk(BOB).call("events.subscribe")
    await full[0].session.close()
    await last.call("events.subscribe")


async def test_a_taken_back_subscription_does_not_begin(world: World) -> None:
    """Over HTTP there is nothing to begin on."""
    with pytest.raises(Refusal, match="/ws"):
        await world.post("events.subscribe")
    with pytest.raises(Refusal, match="/ws"):
        await world.post("rpc.on", ["turn."])


async def test_previews_come_where_they_are_asked_for(world: World) -> None:
    """Piece by piece, with their place; whoever did not ask gets none."""
    watching, other = world.talk(), world.talk()
    subscribed = await watching.call("events.subscribe", previews=True)
    await other.call("events.subscribe")
    turn_id = (await watching.call("send", text="abcdefgh"))["turn_id"]
    text = ""
    for delta in watching.connection.deltas:
        assert delta["subscription"] == subscribed["subscription"]
        assert (delta["turn_id"], delta["session_key"]) == (turn_id, SESSION)
        assert (delta["step"], delta["attempt"], delta["offset"]) == ("1", 1, len(text))
        text += delta["text"]
    assert text == "You said: abcdefgh"
    assert other.connection.deltas == []
    await watching.call("events.unsubscribe", subscription=subscribed["subscription"])
    await watching.call("send", text="silent")
    assert len(watching.connection.deltas) == 4


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"session_key": SESSION}, 4),
        ({"session_key": "agent:main:main"}, 0),
        ({"agent_id": "main"}, 4),
        ({"agent_id": "luna"}, 0),
        ({"turn_id": "t_999"}, 0),
    ],
)
async def test_previews_are_filtered_too(world: World, wanted: dict[str, str], count: int) -> None:
    """Like the events they announce."""
    talk = world.talk()
    await talk.call("events.subscribe", previews=True, filter=wanted)
    await talk.note("events.caught_up")
    await talk.call("send", text="one two")
    assert len(talk.connection.deltas) == count


async def test_a_preview_nobody_can_place_is_dropped(world: World) -> None:
    """Whose it is was never heard of: better none than a stranger's."""
    talk, olga = world.talk(), world.talk(OPERATOR)
    for one in (talk, olga):
        await one.call("events.subscribe", previews=True)
        await one.note("events.caught_up")
    ghost = Preview(TurnId("t_0"), "agent:main:ghost", "1", 1, 0, "boo")
    world.gateway.previews.publish(ghost)
    assert (len(talk.connection.deltas), len(olga.connection.deltas)) == (0, 1)


async def test_a_step_that_begins_anew_is_a_signal_of_its_own(world: World) -> None:
    """It brings no text, and says from which attempt on pieces count."""
    olga = world.talk(OPERATOR)
    subscribed = await olga.call("events.subscribe", previews=True)
    await olga.note("events.caught_up")
    again = Preview(TurnId("t_0"), "agent:main:x", "1", 2, 0, "", restarted=True)
    world.gateway.previews.publish(again)
    assert olga.connection.deltas == []
    assert olga.connection.restarts == [
        {
            "subscription": subscribed["subscription"],
            "turn_id": "t_0",
            "session_key": "agent:main:x",
            "step": "1",
            "attempt": 2,
        }
    ]


async def test_a_place_in_the_line_of_a_model_server_is_told(world: World) -> None:
    olga = world.talk(OPERATOR)
    await olga.call("events.subscribe", previews=True)
    await olga.note("events.caught_up")
    for place in (2, 0):
        told = Preview(TurnId("t_0"), "agent:main:x", "1", 1, 0, "", place=place)
        world.gateway.previews.publish(told)
    assert (olga.connection.places, olga.connection.deltas) == ([2, 0], [])


async def test_an_event_that_is_written_marks_the_answer_as_sent(world: World) -> None:
    """The first reader counts, a stranger does not."""
    talk = world.talk()
    await talk.call("events.subscribe")
    turn_id = (await talk.call("turns.start", text="one"))["turn_id"]
    await events(talk, 3)
    await world.settled()
    explained = await talk.call("turns.explain", turn_id=turn_id)
    assert [delivery["state"] for delivery in explained["deliveries"]] == ["sent"]


async def test_rpc_websockets_gets_events_by_their_names(world: World) -> None:
    """`ok` by name, notifications of the event's own name, and an end of it."""
    talk = world.talk()
    answer = await talk.call("rpc.on", names=["turn.completed", "input.", "turn.complete"])
    assert answer["turn.completed"] == answer["input."] == "ok"
    assert "did you mean 'turn.completed'" in answer["turn.complete"]
    await talk.call("send", text="one")
    note = await talk.note("turn.completed")
    assert note["result"]["text"] == "You said: one"
    assert "subscription" not in note
    assert len(talk.notes("input.accepted")) == 1
    assert talk.notes("events.caught_up") == []
    id = await talk.request("rpc.on", ["turn.completed"])
    assert (await talk.answer(id))["result"] == {"turn.completed": "ok"}
    await talk.call("send", text="two")
    await talk.note("turn.completed", 2)
    await world.settled()
    assert len(talk.notes("turn.completed")) == 2
    ended = await talk.call("rpc.off", names=["turn.completed", "turn.failed"])
    assert ended == {"turn.completed": "ok", "turn.failed": "not subscribed"}
    await talk.call("send", text="three")
    await talk.note("input.accepted", 3)
    await world.settled()
    assert len(talk.notes("turn.completed")) == 2


async def test_every_kind_of_event_is_shown(world: World) -> None:
    """With words, without, and with words that are gone."""
    talk = world.talk(OPERATOR)
    await talk.call("events.subscribe")
    new = tuple(NewEvent(1, kind, "s", "main", "t", '{"n": 1}', "gone") for kind in Kind)
    await world.gateway.store.commit(Unit(events=new))
    found = await events(talk, len(Kind))
    assert [event["kind"] for event in found] == list(Kind)
    for event in found:
        assert (event["text"], event["parts"], event["data"]) == (None, [], {"n": 1})
        EventEntry.model_validate(event)


async def test_a_store_that_is_away_for_a_while_loses_nothing(world: World) -> None:
    """The stream goes on where it was."""
    talk = world.talk()
    for n in range(2):
        await talk.call("send", text=str(n))
    away = Away(world.gateway.store)
    log = EventLog(away)
    await log.open()
    away.away = True
    gateway = replace(world.gateway, log=log)
    wish = Wish(0, Filter())
    client = Client(talk.connection, ConnectionSubscriptions(gateway.ids, OWNER), lambda _: None)
    stream = Stream(gateway, Entries(), client, wish)
    task = asyncio.get_running_loop().create_task(stream.pump("s"))
    await settle()
    assert seqs(talk) == []
    away.away = False
    await world.clock.advance(RETRY_S)
    await events(talk, 6)
    assert seqs(talk) == [1, 2, 3, 4, 5, 6]
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.timeout(30)  # three hundred connections one after the other
async def test_a_stream_cut_anywhere_equals_the_log(world: World) -> None:
    """Hundreds of cuts at random places: nothing twice, nothing missing."""
    chance = seeded_chance(7)
    writer = world.talk()
    seen: list[int] = []
    last, written = 0, 0
    while written < 60 or last < world.gateway.log.head:
        talk = world.talk()
        await talk.call("events.subscribe", after_seq=last)
        if written < 60:
            written += 1
            await writer.request(
                "turns.start", {"text": str(written), "peer_id": f"p{written % 7}"}
            )
        await settle(round(chance.uniform(0, 40)))
        await talk.session.close()
        for note in talk.notes("events.event"):
            assert note["prev_seq"] in (last, note["seq"] - 1)
            seen.append(note["seq"])
            last = note["seq"]
    assert seen == list(range(1, world.gateway.log.head + 1))


async def test_long_words_of_somebody_make_pages_shorter_and_hide_nothing(tmp_path: Path) -> None:
    """Whoever reads the log in pages must get past them."""
    async with open_world(tmp_path, max_result_bytes=4000) as world:
        talk = world.talk()
        for _ in range(6):
            await talk.call("turns.start", text="x" * 600)
            await world.idle()
        seen: list[int] = []
        while (page := await talk.call("events.list", after_seq=len(seen)))["events"]:
            seen += [event["seq"] for event in page["events"]]
        assert seen == list(range(1, page["head"] + 1))
