"""An answer as deliveries: pieces, keys, contents, and the row read back."""

from __future__ import annotations

import orjson
import pytest

from agents.base import messages
from agents.base.messages import AssistantMessage, UserMessage
from channels.base.channel import Capabilities
from gateway.core.ids import ContentId, SequentialIds, TurnId
from gateway.core.keys import Destination
from gateway.core.parts import File, Text
from gateway.delivery.planning import Answer, from_row, plan
from gateway.store.base.conversations import PutContent
from gateway.store.base.outbox import DeliveriesOfTurn, EnqueueDelivery
from gateway.store.base.store import Store, Unit

# A target with the separator of keys in it.
ANN = Destination("memory", "default", "ann:1", "th")


def answer(text: str) -> Answer:
    return Answer(TurnId("t_9"), "agent:main:main", ANN, text, ContentId("c_whole"), 1000)


def test_a_text_that_fits_is_one_delivery_of_the_content_that_is_there() -> None:
    """The words are stored once, whoever refers to them."""
    planned = plan(answer("hi"), Capabilities(), SequentialIds())
    (op,) = planned.ops
    assert isinstance(op, EnqueueDelivery)
    assert (op.content_id, op.part, op.parts, op.at) == ("c_whole", 1, 1, 1000)
    assert op.expires_at == 1000 + 3_600_000
    (delivery,) = planned.deliveries
    assert (delivery.text, delivery.key, planned.key) == ("hi", "t_9:1", "t_9:1")


def test_a_text_too_long_becomes_pieces_with_contents_of_their_own() -> None:
    """Each piece is a delivery that can be sent, resumed and resent by itself."""
    planned = plan(answer("one two three"), Capabilities(limit=5), SequentialIds())
    contents = [op for op in planned.ops if isinstance(op, PutContent)]
    rows = [op for op in planned.ops if isinstance(op, EnqueueDelivery)]
    assert [orjson.loads(op.body)["text"] for op in contents] == ["one", "two", "three"]
    assert [op.content_id for op in rows] == [op.content_id for op in contents]
    assert [(op.part, op.parts) for op in rows] == [(1, 3), (2, 3), (3, 3)]
    assert [delivery.key for delivery in planned.deliveries] == ["t_9:1", "t_9:2", "t_9:3"]
    assert planned.key == "t_9:1"


async def test_what_its_receiver_fetches_waits_for_it(store: Store) -> None:
    """It is there from the end of the turn on, and nothing is left to be sent."""
    planned = plan(answer("hi"), Capabilities(pulled=True), SequentialIds())
    assert [delivery.state for delivery in planned.deliveries] == ["available"]
    await store.commit(Unit(planned.ops))
    (row,) = await store.read(DeliveriesOfTurn("t_9"))
    assert row.state == "available"


@pytest.mark.parametrize("text", ["", " \n "])
def test_a_blank_answer_is_no_delivery(text: str) -> None:
    """There is nothing to show, and no key to wait for."""
    planned = plan(answer(text), Capabilities(), SequentialIds())
    assert (planned.ops, planned.deliveries, planned.key) == ((), (), "")


@pytest.mark.parametrize("able", [Capabilities(), Capabilities(limit=8)])
async def test_what_is_read_back_is_what_was_planned(store: Store, able: Capabilities) -> None:
    """A worker goes on with the same delivery before and after a restart."""
    planned = plan(answer("in two pieces"), able, SequentialIds())
    body = orjson.dumps(messages.to_json(AssistantMessage("in two pieces"))).decode()
    await store.commit(Unit((PutContent("c_whole", "s", body), *planned.ops)))
    rows = await store.read(DeliveriesOfTurn("t_9"))
    assert tuple(map(from_row, rows)) == planned.deliveries


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"text": "a piece"}, "a piece"),
        (messages.to_json(AssistantMessage("an answer")), "an answer"),
        (
            messages.to_json(UserMessage((Text("words"), File("a.txt", "data:,")))),
            "words\n[file a.txt]",
        ),
    ],
)
async def test_the_words_are_found_in_every_kind_of_content(
    store: Store, body: dict[str, object], text: str
) -> None:
    """A delivery points at a piece, or at a message of the transcript."""
    planned = plan(answer("x"), Capabilities(), SequentialIds())
    await store.commit(
        Unit((PutContent("c_whole", "s", orjson.dumps(body).decode()), *planned.ops))
    )
    (row,) = await store.read(DeliveriesOfTurn("t_9"))
    assert from_row(row).text == text


async def test_a_content_that_is_gone_leaves_a_delivery_without_text(store: Store) -> None:
    """Deleting a conversation blanks what has not been sent yet."""
    await store.commit(Unit(plan(answer("x"), Capabilities(), SequentialIds()).ops))
    (row,) = await store.read(DeliveriesOfTurn("t_9"))
    assert from_row(row).text is None
