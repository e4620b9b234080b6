"""What the protocol adds to JSON-RPC about messages: ids, numbers, bounds, batches, errors."""

from __future__ import annotations

import json

from gateway.conformance.check import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    Check,
    holds,
    refused,
    result_of,
    same,
    silent,
)
from gateway.conformance.subject import Subject, request

NOT_FOUND = -32004
IDS = (0, -7, 1, "1", "", "é☃\u0000", 2**53 + 1, 2**63 - 1, -(2**63), 1.5, None)
NO_IDS = ("true", "{}", "[1]", str(2**70), "1" + "0" * 300)


async def ids_come_back(subject: Subject) -> None:
    """Each as it went, of the same type."""
    async with subject.socket() as talk:
        for id in IDS:
            message = {"jsonrpc": "2.0", "id": id, "method": "__listMethods"}
            await talk.say(json.dumps(message))
            result_of(await talk.hear(), id)


async def wrong_ids_are_refused(subject: Subject) -> None:
    """What cannot be echoed exactly is not echoed at all."""
    async with subject.socket() as talk:
        for id in NO_IDS:
            await talk.say(f'{{"jsonrpc":"2.0","id":{id},"method":"__listMethods"}}')
            refused(await talk.hear(), None, INVALID_REQUEST, "invalid_request")


async def same_id_twice(subject: Subject) -> None:
    """The second of two under one id is refused, and not under that id."""
    one = {"jsonrpc": "2.0", "id": 7, "method": "status"}
    async with subject.socket() as talk:
        await talk.say(json.dumps([one, one]))
        answers = await talk.hear()
        holds(isinstance(answers, list) and len(answers) == 2, "expected two answers", answers)
        first, second = sorted(answers, key=lambda answer: answer.get("id") is None)
        result_of(first, 7)
        refused(second, None, INVALID_REQUEST, "invalid_request")


async def nan_is_no_number(subject: Subject) -> None:
    """What JSON has no word for is not read."""
    async with subject.socket() as talk:
        for word in ("NaN", "Infinity", "-Infinity"):
            await talk.say(f'{{"jsonrpc":"2.0","id":{word},"method":"status"}}')
            refused(await talk.hear(), None, PARSE_ERROR, "parse_error")


async def depth_is_bounded(subject: Subject) -> None:
    """Brackets without end are an error and cost nobody the connection."""
    async with subject.socket() as talk:
        await talk.say("[" * 20_000 + "]" * 20_000)
        answer = await talk.hear()
        holds(isinstance(answer, dict) and "error" in answer, "expected one error", answer)
        holds(answer["error"]["code"] in (PARSE_ERROR, INVALID_REQUEST), "as no request", answer)
        await talk.call("status")


async def batches_are_bounded(subject: Subject) -> None:
    """Fifty are worked on; one more and none is."""

    def batch(count: int) -> str:
        return json.dumps(
            [{"jsonrpc": "2.0", "id": n, "method": "__listMethods"} for n in range(count)]
        )

    async with subject.socket() as talk:
        await talk.say(batch(50))
        answers = await talk.hear()
        holds(isinstance(answers, list) and len(answers) == 50, "expected 50 answers", answers)
        await talk.say(batch(51))
        refused(await talk.hear(), None, INVALID_REQUEST, "invalid_request")


async def send_is_refused_in_a_batch(subject: Subject) -> None:
    """What may wait long would hold up its neighbours, who are answered."""
    send = {"jsonrpc": "2.0", "id": 1, "method": "send", "params": {"text": "no"}}
    status = {"jsonrpc": "2.0", "id": 2, "method": "status"}
    async with subject.socket() as talk:
        await talk.say(json.dumps([send, status]))
        answers = await talk.hear()
        holds(isinstance(answers, list) and len(answers) == 2, "expected two answers", answers)
        by_id = {answer.get("id"): answer for answer in answers}
        refused(by_id.get(1), 1, INVALID_PARAMS, "invalid")
        result_of(by_id.get(2), 2)


async def failing_notifications_are_silent(subject: Subject) -> None:
    """Not even an error answers what asked for no answer."""
    async with subject.socket() as talk:
        await talk.say('{"jsonrpc":"2.0","method":"turns.get","params":{"nobody":"knows"}}')
        await silent(talk)


async def responses_are_ignored(subject: Subject) -> None:
    """Two servers must not talk to each other for ever."""
    async with subject.socket() as talk:
        await talk.say('{"jsonrpc":"2.0","id":1,"result":true}')
        await talk.say('{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"no"}}')
        await silent(talk)


async def binary_frames_are_read(subject: Subject) -> None:
    """UTF-8 in a binary frame is a message like any other."""
    async with subject.socket() as talk:
        await talk.say(request("status", id=1).encode())
        result_of(await talk.hear(), 1)


async def null_and_more_members(subject: Subject) -> None:
    """`params: null` is none, and members nobody asked for do no harm: some clients send both."""
    async with subject.socket() as talk:
        await talk.say('{"jsonrpc":"2.0","id":1,"method":"status","params":null,"meta":{}}')
        result_of(await talk.hear(), 1)


async def wrong_parameters(subject: Subject) -> None:
    """A wrong type, an unknown name, one too many: each is the caller's to mend."""
    async with subject.socket() as talk:
        for params in ({"limit": "1"}, {"limit": 0}, {"no": 1}, [1, "", "k", 4, 5, 6, 7]):
            answer = await talk.ask("turns.list", params, id=1)
            data = refused(answer, 1, INVALID_PARAMS, "invalid")
            same(data["retryable"], False, "retryable")


async def what_is_not_there(subject: Subject) -> None:
    """Its own kind, under the code the errors page gives it."""
    async with subject.socket() as talk:
        answer = await talk.ask("turns.get", {"turn_id": "t_none"}, id="x")
        refused(answer, "x", NOT_FOUND, "not_found")


async def positions_are_names(subject: Subject) -> None:
    """Positional parameters come in the order of the document."""
    async with subject.socket() as talk:
        document = await talk.call("rpc.discover")
        methods = {method.get("name"): method for method in document["methods"]}
        named = [param["name"] for param in methods["turns.wait"]["params"]]
        same(named[:2], ["turn_id", "wait_ms"], "parameters of turns.wait")
        answer = await talk.ask("turns.wait", ["t_none", 0], id=1)
        refused(answer, 1, NOT_FOUND, "not_found")
        answer = await talk.ask("turns.wait", ["t_none", -1], id=2)
        refused(answer, 2, INVALID_PARAMS, "invalid")


_PAGE = "docs/protocol.md"
CHECKS = (
    Check("ids come back as they went", f"{_PAGE}, requests", ids_come_back),
    Check("ids that cannot come back are refused", f"{_PAGE}, requests", wrong_ids_are_refused),
    Check("an id is used once at a time", f"{_PAGE}, requests", same_id_twice),
    Check("NaN is no JSON", "RFC 8259, section 6", nan_is_no_number),
    Check("depth is bounded", "RFC 8259, section 9", depth_is_bounded),
    Check("a batch has at most 50 members", f"{_PAGE}, batches", batches_are_bounded),
    Check("send is refused in a batch", f"{_PAGE}, batches", send_is_refused_in_a_batch),
    Check(
        "a notification that fails is silent",
        "JSON-RPC 2.0, section 4.1",
        failing_notifications_are_silent,
    ),
    Check("responses are not answered", "JSON-RPC 2.0, section 5", responses_are_ignored),
    Check("binary frames are read like text", f"{_PAGE}, first paragraph", binary_frames_are_read),
    Check("null params and more members", "JSON-RPC 2.0, section 4", null_and_more_members),
    Check("wrong parameters are named", f"{_PAGE}, errors", wrong_parameters),
    Check("what is not there is not found", f"{_PAGE}, errors", what_is_not_there),
    Check("positional parameters", f"{_PAGE}, requests", positions_are_names),
)
