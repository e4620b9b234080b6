"""No message, attachment or stop ends a conversation for good: after each kind of poison, "hello"
is answered.

The server takes only what all providers take (`tests/support/strict_servers.py`) and refuses the
rest without a word of explanation.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from channels.memory import Gate
from gateway.core.errors import InvalidInput
from gateway.core.parts import File, Image, Part, Text
from gateway.simulate.answers import DONE, Raw, chunk, refusal
from gateway.simulate.asked import Asked
from tests.support.failover import WholeFailover, open_failover
from tests.support.house import Notebook
from tests.support.strict_servers import complaints

pytestmark = pytest.mark.timeout(30)

PICTURE = Image("data:image/png;base64,iVBORw0KGgo=")
HELLO = "hello"


def answer(*deltas: dict[str, Any], finish: str = "stop") -> Raw:
    return Raw((*(chunk(delta) for delta in deltas), chunk({}, finish), DONE))


def note(id_: str = "call_1", arguments: str = "{}", index: int = 0) -> dict[str, Any]:
    function = {"name": "note", "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": id_, "type": "function", "function": function}]}


FINE = answer({"content": "fine"})
CALLS = answer(note(), finish="tool_calls")
UNREADABLE = refusal(
    400,
    {"message": "unknown variant `image_url`, expected `text`", "type": "invalid_request_error"},
)
TOO_LONG = refusal(
    400, {"message": "This model's maximum context length is 8192 tokens.", "code": None}
)


def blind(asked: Asked) -> Raw:
    return UNREADABLE if "image_url" in str(asked.body["messages"]) else FINE


def small(asked: Asked) -> Raw:
    return TOO_LONG if asked.prompt_chars > 30_000 else FINE


def once(first: Raw) -> Callable[[Asked], Raw]:
    """This for the poison, and what its calls lead to."""
    return lambda asked: FINE if asked.messages[-1]["role"] == "tool" else first


def fussy(member: str) -> Callable[[Asked], Raw]:
    """Thinks, and takes no thoughts back."""

    def reply(asked: Asked) -> Raw:
        for said in asked.messages:
            if member in said:
                why = f"Unrecognized request argument supplied: {member}"
                return refusal(400, {"message": why, "type": "invalid_request_error"})
        return once(answer({member: "so"}, note(), finish="tool_calls"))(asked)

    return reply


@dataclass(frozen=True, slots=True)
class Poison:
    """What is sent, what the server makes of it, and what its tool says. `stopped` ends the turn
    while the tool works; `keeps` is whether the server stays like that."""

    reply: Callable[[Asked], Raw] = lambda asked: FINE
    parts: tuple[Part, ...] = (Text("poison"),)
    says: str = "noted"
    stopped: bool = False
    keeps: bool = False


POISONS = {
    "a picture for a model without eyes": Poison(blind, (Text("look"), PICTURE), keeps=True),
    "nothing but a picture": Poison(blind, (Text(""), PICTURE), keeps=True),
    "a file too large": Poison(parts=(File("x.bin", f"data:;base64,{'A' * 2_000_000}"),)),
    "a huge message": Poison(small, (Text("word " * 80_000),), keeps=True),
    "more than is taken": Poison(parts=(Text("x" * 2_000_000),)),
    "calls cut by a stop": Poison(
        once(answer(note("a"), note("b", '{"x": 1}', 1), finish="tool_calls")), stopped=True
    ),
    "an answer of only thoughts": Poison(once(answer({"reasoning_content": "hm"}))),
    "only thoughts in the text": Poison(once(answer({"content": "<think>hm"}, finish="length"))),
    "a result of rubbish": Poison(once(CALLS), says="\x00\x1b[2J\ud800\udfff\uffff"),
    "an empty result": Poison(once(CALLS), says=""),
    "one id twice": Poison(
        once(answer(note("same"), note("same", '{"x": 1}', 1), finish="tool_calls"))
    ),
    "no id": Poison(once(answer(note(""), finish="tool_calls"))),
    "an unfinished call": Poison(once(answer(note("a", '{"x": "unfin'), finish="length"))),
    "a call that is no object": Poison(once(answer(note("a", "[]"), finish="tool_calls"))),
    "a name that no tool has": Poison(
        once(
            answer(
                {"tool_calls": [{"index": 0, "function": {"name": "nö such", "arguments": "{}"}}]}
            )
        )
    ),
    "an answer cut off": Poison(once(Raw((chunk({"content": "once upo"}),)))),
    "a filtered answer": Poison(once(answer({"content": "a"}, finish="content_filter"))),
    "thoughts that are not taken back": Poison(fussy("reasoning_details"), keeps=True),
    "half a letter": Poison(parts=(Text("a\ud800b"),)),
    "control characters": Poison(parts=(Text("a\x00\x07\x1b[31mb\u202e\ufeff"),)),
    "an empty text": Poison(parts=(Text(""),)),
    "blanks": Poison(parts=(Text(" \n\t"),)),
    "a refusal of the request": Poison(lambda asked: refusal(400, {"message": "no"})),
    "a refusal of its words": Poison(
        lambda asked: refusal(400, {"message": "no", "code": "content_policy_violation"})
    ),
    "a server that fails at it": Poison(lambda asked: refusal(500, {"message": "boom"})),
}


@pytest.mark.parametrize("kind", POISONS)
async def test_hello_is_answered_after(kind: str, tmp_path: Path) -> None:
    poison, taking, why = POISONS[kind], False, list[str]()
    gate = Gate() if poison.stopped else None
    tool = Notebook(says=poison.says, gate=gate)

    def reply(asked: Asked) -> Raw:
        why.extend(complaints(asked.messages))
        if why:
            return refusal(400, {"message": "no"})
        return poison.reply(asked) if taking or poison.keeps else FINE

    async with open_failover("k1", folder=tmp_path, tools=[tool]) as failover:
        assert isinstance(failover, WholeFailover)
        failover.upstream.answer = reply
        house = failover.house
        await house.say("good morning")
        await failover.drive(house.idle())
        taking = True
        with suppress(InvalidInput):  # refused with a reason: it never was in the conversation
            accepted = await house.say("", *poison.parts)
            if gate is not None:
                await failover.drive(gate.entered.wait())
                await house.channel.cancel(accepted.turn_id)
                gate.release()
            await failover.drive(house.idle())
        taking = False
        await failover.wait(30)  # a server that failed has come back
        for text in (HELLO, "and again"):
            await house.say(text)
            await failover.drive(house.idle())
            assert house.channel.sent[-1].text.startswith("fine")
    assert why == []
    assert len({message.key for message in house.seen()}) == len(house.seen())
