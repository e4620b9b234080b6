"""Who may come in, and how those are turned away who may not: credentials, pages, sizes."""

from __future__ import annotations

from gateway.conformance.check import Check, holds, refused, result_of, same
from gateway.conformance.subject import Subject, request

UNAUTHENTICATED = -32010
FORBIDDEN = -32003
STRANGER_BYTES = 64 * 1024
ELSEWHERE = "https://elsewhere.example"


async def strangers_may_do_nothing(subject: Subject) -> None:
    """Without a credential there is discovery, and the way to show one."""
    async with subject.socket({}) as talk:
        refused(await talk.ask("status", id=1), 1, UNAUTHENTICATED, "unauthenticated")
        result_of(await talk.ask("__listMethods", id=2), 2)


async def wrong_tokens(subject: Subject) -> None:
    """Refused over each way in; on a socket the stranger stays one."""
    wrong = {"Authorization": "Bearer nobody's"}
    same(await subject.refused_socket(wrong), 401, "status of the handshake")
    reply = await subject.post(request("status", id=1), wrong)
    same(reply.status, 401, "status")
    reply = await subject.post(request("status", id=1), {})
    same(reply.status, 401, "status without a token")
    async with subject.socket({}) as talk:
        answer = await talk.ask("connect", {"token": "nobody's"}, id=1)
        refused(answer, 1, UNAUTHENTICATED, "unauthenticated")
        refused(await talk.ask("status", id=2), 2, UNAUTHENTICATED, "unauthenticated")


async def connect_says_who(subject: Subject) -> None:
    """What is sent right behind `connect` is answered as whom it made one."""
    async with subject.socket({}) as talk:
        await talk.say(request("connect", {"token": subject.token}, id=1))
        await talk.say(request("status", id=2))
        connected = result_of(await talk.hear(), 1)
        result_of(await talk.hear(), 2)
        missing = {"principal", "scopes", "version", "seq", "limits"} - set(connected)
        holds(not missing, f"expected {sorted(missing)} in the answer to connect", connected)


async def connect_narrows(subject: Subject) -> None:
    """Fewer scopes hold from then on, and do not come back by asking."""
    async with subject.socket() as talk:
        narrowed = await talk.call("connect", {"scopes": ["read"]})
        same(narrowed["scopes"], ["read"], "scopes")
        answer = await talk.ask("turns.start", {"text": "no"}, id=1)
        refused(answer, 1, FORBIDDEN, "forbidden")
        answer = await talk.ask("connect", {"scopes": ["chat"]}, id=2)
        refused(answer, 2, FORBIDDEN, "forbidden")
        answer = await talk.ask("turns.start", {"text": "no"}, id=3)
        refused(answer, 3, FORBIDDEN, "forbidden")


async def tickets_work_once(subject: Subject) -> None:
    """For browsers: a ticket in the address opens one socket."""
    reply = await subject.post("", path="/ticket")
    holds(isinstance(reply.body, dict) and "ticket" in reply.body, "expected a ticket", reply)
    query = f"?ticket={reply.body['ticket']}"
    async with subject.socket({}, query=query) as talk:
        await talk.call("status")
    same(await subject.refused_socket({}, query=query), 401, "status of its second use")


async def no_token_in_an_address(subject: Subject) -> None:
    """Addresses end up in logs and histories."""
    query = f"?token={subject.token}"
    same(await subject.refused_socket({}, query=query), 400, "status of the handshake")
    reply = await subject.post(request("status", id=1), path=f"/rpc{query}")
    same(reply.status, 400, "status")


async def foreign_pages(subject: Subject) -> None:
    """A page of another origin may neither open a socket nor call, whatever it knows."""
    headers = {**subject.bearer, "Origin": ELSEWHERE}
    same(await subject.refused_socket(headers), 403, "status of the handshake")
    reply = await subject.post(request("status", id=1), headers)
    same(reply.status, 403, "status")


async def foreign_names(subject: Subject) -> None:
    """A name that was made to point here (DNS rebinding) is not ours."""
    headers = {**subject.bearer, "Host": "elsewhere.example"}
    reply = await subject.post(request("status", id=1), headers)
    same(reply.status, 421, "status")


async def bodies_are_json(subject: Subject) -> None:
    """A form of a foreign page can send text/plain without asking first."""
    reply = await subject.post(request("status", id=1), content_type="text/plain")
    same(reply.status, 415, "status")


async def long_frames(subject: Subject) -> None:
    """Longer than `connect` has said: closed with 1009; over HTTP 413."""
    async with subject.socket() as talk:
        limits = (await talk.call("connect"))["limits"]
        await talk.say('"' + "x" * limits["frame_bytes"] + '"')
        same(await talk.closed(), 1009, "close code")
    reply = await subject.post('"' + "x" * limits["frame_bytes"] + '"')
    same(reply.status, 413, "status")


async def long_frames_of_strangers(subject: Subject) -> None:
    """Who has not said who he is may send little."""
    async with subject.socket({}) as talk:
        await talk.say('"' + "x" * STRANGER_BYTES + '"')
        same(await talk.closed(), 1009, "close code")


async def text_is_utf8(subject: Subject) -> None:
    """Closed with 1007."""
    async with subject.socket() as talk:
        await talk.say(b'"\xff\xfe"', as_text=True)
        same(await talk.closed(), 1007, "close code")


async def sockets_for_what_lasts(subject: Subject) -> None:
    """What needs a connection that stays says so over HTTP."""
    reply = await subject.post(request("events.subscribe", id=1))
    refused(reply.body, 1, -32602, "invalid")


async def probes(subject: Subject) -> None:
    """Whoever runs it may ask without a token."""
    for path in ("/healthz", "/readyz"):
        same((await subject.get(path)).status, 200, f"status of {path}")


_CLIENTS = "docs/clients.md"
CHECKS = (
    Check("strangers may do nothing", f"{_CLIENTS}, who you are", strangers_may_do_nothing),
    Check("wrong tokens are refused", f"{_CLIENTS}, who you are", wrong_tokens),
    Check("connect says who one is", "docs/protocol.md, who you are", connect_says_who),
    Check("connect narrows and never widens", "docs/protocol.md, who you are", connect_narrows),
    Check("a ticket works once", f"{_CLIENTS}, a browser", tickets_work_once),
    Check("a token in an address is refused", f"{_CLIENTS}, who you are", no_token_in_an_address),
    Check("pages of other origins are refused", "RFC 6455, section 10.2", foreign_pages),
    Check("foreign names in Host are refused", f"{_CLIENTS}, curl", foreign_names),
    Check("bodies are declared as JSON", f"{_CLIENTS}, curl", bodies_are_json),
    Check("a frame has a bound", f"{_CLIENTS}, errors", long_frames),
    Check("a stranger's frame has a lower one", f"{_CLIENTS}, errors", long_frames_of_strangers),
    Check("text that is not UTF-8 ends it", "RFC 6455, section 8.1", text_is_utf8),
    Check(
        "what needs a socket says so over HTTP", "docs/protocol.md, methods", sockets_for_what_lasts
    ),
    Check("probes answer strangers", "docs/operations.md, probes", probes),
)
