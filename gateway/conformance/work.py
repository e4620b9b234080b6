"""Turns and what is told of them: durable starts, one answer, resuming, taking back.

Each check that needs a turn has a conversation of its own and says a few words in it.
"""

from __future__ import annotations

from typing import Any

from gateway.conformance.check import Check, holds, refused, result_of, same
from gateway.conformance.subject import TURN_S, Breach, Subject, Talk, request

CONFLICT = -32009
CANCELLED = -32800
WAIT_MS = int(TURN_S * 1000) - 5000
ENDS = ("answered", "merged", "failed", "expired", "cancelled")
WORDS = "good morning"


async def _start(talk: Talk, subject: Subject, **more: Any) -> dict[str, Any]:
    params = {"text": WORDS, "peer_id": subject.fresh(), **more}
    started: dict[str, Any] = await talk.call("turns.start", params)
    return started


async def _ended(talk: Talk, turn_id: str) -> dict[str, Any]:
    params = {"turn_id": turn_id, "wait_ms": WAIT_MS}
    answer: dict[str, Any] = await talk.call("turns.wait", params, within_s=TURN_S)
    holds(answer.get("state") in ENDS, "expected a turn that has ended", answer)
    return answer


async def one_answer_under_one_key(subject: Subject) -> None:
    """However one learns of the answer, its delivery key is the same."""
    async with subject.socket() as talk:
        before = (await talk.call("connect"))["seq"]
        started = await _start(talk, subject)
        first = await _ended(talk, started["turn_id"])
        same(first["state"], "answered", "state")
        key = first["delivery_key"]
        holds(key and isinstance(key, str), "expected a delivery key", first)
        same((await _ended(talk, started["turn_id"]))["delivery_key"], key, "asked again")
        turn = await talk.call("turns.get", {"turn_id": started["turn_id"]})
        same(turn["delivery_key"], key, "in turns.get")
        same(turn["reply"], first["reply"], "reply in turns.get")
        wanted = {"turn_id": started["turn_id"], "kinds": ["turn.completed"]}
        await talk.call("events.subscribe", {"after_seq": before, "filter": wanted})
        event = (await talk.notified("events.event"))["result"]
        same(event["data"]["delivery_key"], key, "in the event turn.completed")


async def send_is_start_and_wait(subject: Subject) -> None:
    """The same answer as a turn; an expired wait is a success without a reply."""
    peer = subject.fresh()
    async with subject.socket() as talk:
        params = {"text": WORDS, "peer_id": peer, "wait_ms": 0, "idempotency_key": peer}
        early = await talk.call("send", params)
        holds(
            (early["reply"] is None) == (early["state"] not in ENDS),
            "a turn has a reply when it has ended",
            early,
        )
        late = await talk.call("send", params | {"wait_ms": WAIT_MS}, within_s=TURN_S)
        same(late["turn_id"], early["turn_id"], "the turn under the same key")
        holds(late["state"] in ENDS, "expected it to have ended", late)


async def keys_make_it_one(subject: Subject) -> None:
    """The same again is the same turn, over any transport; another message is a conflict."""
    key = subject.fresh()
    body = {"text": WORDS, "peer_id": key, "idempotency_key": key}
    async with subject.socket() as talk:
        first = await talk.call("turns.start", body)
        same(first["duplicate"], False, "duplicate, the first time")
        again = await talk.call("turns.start", body)
        same(again["turn_id"], first["turn_id"], "turn of the same key")
        same(again["duplicate"], True, "duplicate, the second time")
        reply = await subject.post(request("turns.start", body, id=1))
        same(result_of(reply.body, 1)["turn_id"], first["turn_id"], "turn of the key over HTTP")
        answer = await talk.ask("turns.start", body | {"text": "another"}, id="c")
        refused(answer, "c", CONFLICT, "conflict")


async def events_resume(subject: Subject) -> None:
    """Whatever number one has, what follows it comes once, in order, without a gap."""
    async with subject.socket() as talk:
        before = (await talk.call("connect"))["seq"]
        started = await _start(talk, subject)
        wanted = {"session_key": started["session_key"]}
        opened = await talk.call("events.subscribe", {"after_seq": before, "filter": wanted})
        same(opened["seq"], before, "where the stream begins")
        live = await _until_completed(talk, before)
    holds(len(live) >= 2, "expected the way of a turn", live)
    for cut, (seq, _) in enumerate(live[:-1]):
        async with subject.socket() as talk:
            await talk.call("events.subscribe", {"after_seq": seq, "filter": wanted})
            same(await _until_completed(talk, seq), live[cut + 1 :], f"what follows {seq}")


async def _until_completed(talk: Talk, after: int) -> list[tuple[int, str]]:
    """Numbers and kinds up to the turn's end; each notification follows the one before."""
    found: list[tuple[int, str]] = []
    while True:
        params = await talk.notified("events.event", TURN_S)
        same(params["prev_seq"], after, "prev_seq")
        after = params["seq"]
        holds(not found or after > found[-1][0], "numbers grow", params)
        found.append((after, params["result"]["kind"]))
        if params["result"]["kind"] == "turn.completed":
            return found
        talk.told = [each for each in talk.told if each["method"] == "events.event"]


async def subscriptions_end(subject: Subject) -> None:
    """Ended once; nothing of it comes any more."""
    async with subject.socket() as talk:
        opened = await talk.call("events.subscribe")
        params = {"subscription": opened["subscription"]}
        same((await talk.call("events.unsubscribe", params))["ended"], True, "ended")
        talk.told.clear()  # of others, before it ended
        same((await talk.call("events.unsubscribe", params))["ended"], False, "ended again")
        started = await _start(talk, subject)
        await _ended(talk, started["turn_id"])
        late = [each for each in talk.told if each["method"] == "events.event"]
        holds(not late, "expected no event of an ended subscription", late)


async def requests_are_taken_back(subject: Subject) -> None:
    """The request is answered once: as cancelled exactly if the cancelling says so."""
    async with subject.socket() as talk:
        started = await _start(talk, subject)
        wait = {"turn_id": started["turn_id"], "wait_ms": WAIT_MS}
        await talk.say(request("turns.wait", wait, id="wait"))
        await talk.say(request("$/cancelRequest", {"id": "wait"}, id="cancel"))
        answers = {}
        for _ in range(2):
            answer = await talk.hear(TURN_S)
            holds(isinstance(answer, dict), "expected an answer", answer)
            answers[answer.get("id")] = answer
        holds(set(answers) == {"wait", "cancel"}, "expected an answer to each", answers)
        if result_of(answers["cancel"], "cancel")["cancelled"]:
            refused(answers["wait"], "wait", CANCELLED, "request_cancelled")
        else:
            result_of(answers["wait"], "wait")
        gone = await talk.call("$/cancelRequest", {"id": "nobody's"})
        same(gone["cancelled"], False, "cancelled, of nobody's request")
        holds((await _ended(talk, started["turn_id"]))["reply"], "the turn goes on", started)


async def turns_are_stopped(subject: Subject) -> None:
    """A turn that waits can be stopped; one that has ended is a conflict."""
    peer = subject.fresh()
    async with subject.socket() as talk:
        first = await talk.call("turns.start", {"text": WORDS, "peer_id": peer})
        second = await talk.call("turns.start", {"text": WORDS, "peer_id": peer})
        answer = await talk.ask("turns.cancel", {"turn_id": second["turn_id"]}, id=1)
        end = await _ended(talk, second["turn_id"])
        if isinstance(answer, dict) and "result" in answer:
            holds(end["state"] in ("cancelled", "answered"), "expected it to be stopped", end)
        else:
            refused(answer, 1, CONFLICT, "conflict")
        await _ended(talk, first["turn_id"])
        answer = await talk.ask("turns.cancel", {"turn_id": first["turn_id"]}, id=2)
        refused(answer, 2, CONFLICT, "conflict")


async def turns_outlive_sockets(subject: Subject) -> None:
    """Closing ends the wait, never the turn."""
    key = subject.fresh()
    body = {"text": WORDS, "peer_id": key, "idempotency_key": key}
    async with subject.socket() as talk:
        await talk.say(request("turns.start", body, id=1))
        turn_id = result_of(await talk.hear(), 1)["turn_id"]
        await talk.say(request("turns.wait", {"turn_id": turn_id}, id=2))
    async with subject.socket() as talk:
        same((await _ended(talk, turn_id))["state"], "answered", "state")


async def openrpc(subject: Subject) -> None:
    """A document other tools can read, about the methods there are."""
    async with subject.socket({}) as talk:
        document = await talk.call("rpc.discover")
        names = await talk.call("__listMethods")
    holds(isinstance(document.get("openrpc"), str), "expected `openrpc`", document)
    for member in ("title", "version"):
        holds(isinstance(document.get("info", {}).get(member), str), f"info.{member}", document)
    methods = document.get("methods")
    holds(isinstance(methods, list), "expected methods", document)
    same(sorted(method["name"] for method in methods), sorted(names), "methods, as listed")
    holds(len(set(names)) == len(names), "each method once", names)
    for method in methods:
        _openrpc_method(method)
    missing = {"connect", "send", "turns.start", "turns.wait", "events.subscribe"} - set(names)
    holds(not missing, f"expected the methods {sorted(missing)}", names)


def _openrpc_method(method: Any) -> None:
    holds(isinstance(method.get("params"), list), "a method lists its parameters", method)
    holds("schema" in method.get("result", {}), "a method has a result with a schema", method)
    required = [bool(param.get("required")) for param in method["params"]]
    holds(required == sorted(required, reverse=True), "required parameters come first", method)
    for param in method["params"]:
        holds("name" in param and "schema" in param, "a parameter has name and schema", param)


async def rpc_websockets(subject: Subject) -> None:
    """What that client calls: it expects truth, `ok` by name, and plain notifications."""
    async with subject.socket({}) as talk:
        same(await talk.call("rpc.login", {"token": subject.token}), True, "result of rpc.login")
        same(await talk.call("rpc.on", ["turn.completed"]), {"turn.completed": "ok"}, "rpc.on")
        started = await _start(talk, subject)
        while True:
            params = await talk.notified("turn.completed", TURN_S)
            if params["result"]["turn_id"] == started["turn_id"]:
                break
        same(await talk.call("rpc.off", ["turn.completed"]), {"turn.completed": "ok"}, "rpc.off")
        holds("send" in await talk.call("__listMethods"), "expected the methods' names", None)


async def status_is_said(subject: Subject) -> None:
    """How it is, under the names old clients know too; the same over both transports."""
    async with subject.socket() as talk:
        socket = await talk.call("status")
    http = result_of((await subject.post(request("status", id=1))).body, 1)
    for found in (socket, http):
        same(found.get("running"), True, "running")
        for new, old in (("agents", "agent_count"), ("bindings", "binding_count")):
            if found.get(new) != found.get(old):
                raise Breach(f"{new} and {old} are the same number; got {found!r}")
    same(sorted(http), sorted(socket), "members of the result over HTTP")


_TURNS = "docs/clients.md, sending twice, safely"
_EVENTS = "docs/clients.md, following what happens"
CHECKS = (
    Check("one answer under one delivery key", _TURNS, one_answer_under_one_key),
    Check("send is start and wait", _TURNS, send_is_start_and_wait),
    Check("the same key is the same turn", _TURNS, keys_make_it_one),
    Check("events resume without a gap", _EVENTS, events_resume),
    Check("subscriptions end", _EVENTS, subscriptions_end),
    Check("requests are taken back", "docs/protocol.md, many at once", requests_are_taken_back),
    Check("turns are stopped", "docs/protocol.md, turns.cancel", turns_are_stopped),
    Check("turns outlive their sockets", _TURNS, turns_outlive_sockets),
    Check("rpc.discover is OpenRPC", "OpenRPC 1.3, document structure", openrpc),
    Check("names of rpc-websockets", "docs/clients.md, rpc-websockets", rpc_websockets),
    Check("status", "docs/protocol.md, status", status_is_said),
)
