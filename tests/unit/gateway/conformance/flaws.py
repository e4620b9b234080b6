"""One way to break each rule of the catalogue: the check of the rule must notice.

Where a flaw is known from a real server or library it is that one: `jsonrpcserver` answers a batch
with one member that is none by one error object, OpenClaw's sockets took pages of any origin.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

from gateway.conformance import examples
from gateway.conformance.examples import Expected, One
from tests.unit.gateway.conformance.between import BINARY, Flaw

Message = Any


def answers(change: Callable[[Message], Message]) -> Flaw:
    """Every message to the client is changed; None loses it."""

    def said(text: str) -> str | None:
        if not text:
            return text
        changed = change(json.loads(text))
        return None if changed is None else json.dumps(changed)

    return Flaw(said=said)


def requests(change: Callable[[Message], Message]) -> Flaw:
    """Every message to the server that is JSON is changed."""

    def heard(text: str, _opcode: int) -> str | None:
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return json.dumps(change(value))

    return Flaw(heard=heard)


def results(change: Callable[[Any], Any]) -> Flaw:
    """Every result is changed."""

    def said(message: Message) -> Message:
        if isinstance(message, dict) and "result" in message:
            return message | {"result": change(message["result"])}
        return message

    return answers(said)


def errors(**members: Any) -> Flaw:
    """Errors have other members."""

    def said(message: Message) -> Message:
        if isinstance(message, dict) and "error" in message:
            return message | {"error": message["error"] | members}
        return message

    return answers(said)


def under(id: Any, **members: Any) -> Flaw:
    """The answer under this id is another one."""
    return answers(
        lambda message: (
            {"jsonrpc": "2.0", "id": id, **members}
            if isinstance(message, dict) and message.get("id") == id
            else message
        )
    )


def heads(pattern: bytes, replacement: bytes) -> Flaw:
    """A part of the request's head does not count."""
    return Flaw(head=lambda head: re.sub(pattern, replacement, head, flags=re.IGNORECASE))


def trusting(token: str) -> Flaw:
    """Whoever comes is let in, whatever he shows."""
    header = f"\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    def head(head: bytes) -> bytes:
        head = re.sub(rb"\r\nAuthorization: [^\r]*", b"", head, flags=re.IGNORECASE)
        return re.sub(rb"\?ticket=\S+", b"", head).removesuffix(b"\r\n\r\n") + header

    return Flaw(head=head)


def _of_example(expected: Expected) -> Flaw:
    """Notifications are answered, batches are one error, ids are texts, codes are others."""
    if expected is None:
        return _answering_all()
    if not isinstance(expected, One):
        one = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}}
        return answers(lambda message: one if isinstance(message, list) else message)
    if expected.code:
        return errors(code=-32000)
    return answers(
        lambda message: message | {"id": str(message["id"])} if "id" in message else message
    )


def _answering_all() -> Flaw:
    def said(text: str) -> str:
        return text or '{"jsonrpc":"2.0","id":null,"result":null}'

    def status(status: int) -> int:
        return 200 if status == 204 else status

    return Flaw(heard=requests(_with_ids).heard, said=said, status=status)


def _with_ids(value: Message) -> Message:
    if isinstance(value, list):
        return [_with_ids(each) for each in value]
    return value if "id" in value or "method" not in value else value | {"id": None}


def _second_of_two(message: Message) -> Message:
    if not isinstance(message, list):
        return message
    return [{"jsonrpc": "2.0", "id": 7, "result": {}} for _ in message]


def _send_worked(message: Message) -> Message:
    if not isinstance(message, list):
        return message
    return [{"jsonrpc": "2.0", "id": each["id"], "result": {}} for each in message]


def _backwards(document: Any) -> Any:
    if isinstance(document, dict) and "methods" in document:
        for method in document["methods"]:
            method["params"].reverse()
    return document


def _narrowed_in_words_only() -> Flaw:
    def heard(value: Message) -> Message:
        params = value.get("params")
        if value.get("method") == "connect" and params:
            return value | {"params": {}}
        return value

    said = results(lambda result: result | {"scopes": ["read"]} if "scopes" in result else result)
    return Flaw(heard=requests(heard).heard, said=said.said)


def _another_key_each_time() -> Flaw:
    count = itertools.count()
    return results(
        lambda result: (
            result | {"delivery_key": f"{next(count)}"} if "delivery_key" in result else result
        )
    )


def _losing_the_second_event() -> Flaw:
    count = itertools.count(1)
    return answers(
        lambda message: (
            None if message.get("method") == "events.event" and next(count) == 2 else message
        )
    )


def _never_unsubscribing() -> Flaw:
    ids: list[Any] = []

    def heard(value: Message) -> Message:
        if value["method"] == "events.unsubscribe":
            ids.append(value["id"])
            return {"jsonrpc": "2.0", "id": value["id"], "method": "status"}
        return value

    def said(message: Message) -> Message:
        if message.get("id") in ids:
            return message | {"result": {"ended": message["id"] == ids[0]}}
        return message

    return Flaw(heard=requests(heard).heard, said=answers(said).said)


def _cancelled_and_answered(message: Message) -> Message:
    if message.get("id") == "cancel":
        return message | {"result": {"cancelled": True}}
    if message.get("id") == "wait":
        return {"jsonrpc": "2.0", "id": "wait", "result": {}}
    return message


def _without_its_last_method(result: Any) -> Any:
    if isinstance(result, dict) and "methods" in result:
        result["methods"].pop()
    return result


def _swapped_reply(result: Any) -> Any:
    if "reply" not in result:
        return result
    return result | {"reply": "early" if result["reply"] is None else None}


def _refused_extras(value: Message) -> Message:
    return {"jsonrpc": "2.0", "id": 1} if "meta" in value else value


def _reading_nan() -> Flaw:
    return Flaw(heard=lambda text, _: re.sub("-?(NaN|Infinity)", "null", text))


def flaws(token: str, port: int) -> dict[str, Flaw]:
    """By the name of the check that must notice."""
    found = {
        check.name: _of_example(example[2])
        for check, example in zip(
            examples.CHECKS, [*examples.EXAMPLES, *examples.EXAMPLES], strict=True
        )
    }
    return found | {
        "ids come back as they went": answers(lambda message: message | {"id": "1"}),
        "ids that cannot come back are refused": answers(lambda message: message | {"id": 0}),
        "an id is used once at a time": answers(_second_of_two),
        "NaN is no JSON": _reading_nan(),
        "depth is bounded": Flaw(heard=lambda text, _: text if len(text) < 9000 else None),
        "a batch has at most 50 members": requests(
            lambda value: value[:50] if isinstance(value, list) else value
        ),
        "send is refused in a batch": answers(_send_worked),
        "a notification that fails is silent": requests(_with_ids),
        "responses are not answered": requests(
            lambda value: value if "method" in value else {"id": value["id"]}
        ),
        "binary frames are read like text": Flaw(
            heard=lambda text, opcode: None if opcode == BINARY else text
        ),
        "null params and more members": requests(_refused_extras),
        "wrong parameters are named": errors(code=-32603),
        "what is not there is not found": errors(data={"kind": "gone", "retryable": False}),
        "positional parameters": results(_backwards),
        "strangers may do nothing": trusting(token),
        "wrong tokens are refused": trusting(token),
        "connect says who one is": results(
            lambda result: {name: each for name, each in result.items() if name != "limits"}
        ),
        "connect narrows and never widens": _narrowed_in_words_only(),
        "a ticket works once": trusting(token),
        "a token in an address is refused": heads(rb"\?token=\S+", b""),
        "pages of other origins are refused": heads(rb"\r\nOrigin: [^\r]*", b""),
        "foreign names in Host are refused": heads(
            rb"\r\nHost: elsewhere.example", b"\r\nHost: 127.0.0.1:%d" % port
        ),
        "bodies are declared as JSON": heads(b"text/plain", b"application/json"),
        "a frame has a bound": Flaw(code=lambda _: 1000),
        "a stranger's frame has a lower one": Flaw(code=lambda _: 1000),
        "text that is not UTF-8 ends it": Flaw(code=lambda _: 1000),
        "what needs a socket says so over HTTP": under(1, result={"subscription": "s"}),
        "probes answer strangers": Flaw(status=lambda _: 503),
        "one answer under one delivery key": _another_key_each_time(),
        "send is start and wait": results(_swapped_reply),
        "the same key is the same turn": requests(
            lambda value: value | {"params": value["params"] | {"idempotency_key": ""}}
        ),
        "events resume without a gap": _losing_the_second_event(),
        "subscriptions end": _never_unsubscribing(),
        "requests are taken back": answers(_cancelled_and_answered),
        "turns are stopped": under(2, result={}),
        "turns outlive their sockets": results(
            lambda result: result | {"state": "cancelled"} if "state" in result else result
        ),
        "rpc.discover is OpenRPC": results(_without_its_last_method),
        "names of rpc-websockets": results(lambda result: {} if result is True else result),
        "status": results(lambda result: result | {"agent_count": 99}),
    }
