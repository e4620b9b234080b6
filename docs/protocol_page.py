"""The page that documents the protocol, laid out from the catalogue: `docs/protocol.md`.

Whatever a method's record and models know stands there and nowhere else; here are the words around
them. Called by the program that writes the documentation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway.events.kinds import Kind
from gateway.rpc.catalog import METHODS
from gateway.rpc.method import Method
from gateway.rpc.openrpc import Schemas, describe_class, errors_of
from gateway.rpc.slots import LINE, WORKING
from gateway.wire import jsonrpc

OWN_KINDS = ", ".join(f"`{row.kind}` ({row.code})" for row in jsonrpc.PROTOCOL_ROWS)

INTRODUCTION = f"""\
JSON-RPC 2.0 over a WebSocket at `/ws`, one message or batch a frame, and the same methods by \
`POST /rpc` with `Content-Type: application/json`. Both carry UTF-8; binary frames are read like \
text.

```
wscat -H "Authorization: Bearer $TOKEN" -c ws://127.0.0.1:8765/ws
curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{{"jsonrpc": "2.0", "id": 1, "method": "status"}}' http://127.0.0.1:8765/rpc
```

**Who you are.** The token goes into the header, or into `connect` as the first message on a \
socket. Requests behind a `connect` are answered under the credential it named. `connect` can \
narrow what a connection may do, never widen it. Each method below says which scope it needs: \
`read`, `chat`, `operator` or `admin`; they do not include each other, except that `admin` has all.

**Whose is what.** Without `operator` you speak on the channel `websocket`, and your peers are \
your own: `peer_id` names one of your conversations only. What belongs to another \
credential answers `not_found`, as if it were not there.

**Requests.** Parameters are named, or positional in the order of the tables. Unknown ones are \
refused with a hint. Ids are strings or numbers within 64 bits and come back as they were; two \
requests of one connection must not share one while the first has no answer. A request without \
an id gets no answer at all.

**Batches** have at most {jsonrpc.MAX_BATCH} members, which are worked on one after the other. \
What waits for a turn (`send`, `turns.wait`) is refused in them.

**Many at once.** {WORKING} requests of a connection are worked on at a time and {LINE} more \
wait in line for a moment; past that the answer is `busy` with `retry_after_ms`. A request that \
waits for a turn takes no place. `connect`, `status` and everything that cancels, revokes, \
unsubscribes or tells a run what it waits for is let in however busy it is. `$/cancelRequest` \
takes a request back: it is answered with -32800. Taking a `send` back, or closing the socket, \
ends the waiting and never the turn: the same `idempotency_key` waits for the same turn again.

**Errors** have a number, a sentence, and `data` with `kind` (branch on this), `retryable`, and \
where there are any `retry_after_ms` and `error_id`, which points at the gateway's log. All \
kinds are in [errors](errors.md); three belong to the protocol itself: {OWN_KINDS}.

**Lists** come in pages: `limit` is at most 100, and `next_cursor` is what the next page begins \
with. A page of conversations or events is shorter where words are long, and has at least one \
entry. A message that was accepted is always read back, in a frame of 1 MiB at most; one that \
would need more is `invalid`, see `message_bytes` of [`connect`](#connect). An answer of a model \
may be longer than that and is sent whole. Anything else that does not fit is `result_too_large`.
"""

NOTIFICATIONS = """\
What a subscription sends. `seq` counts everything the log holds, in the order in which it \
became durable; `prev_seq` is the number sent before, so a hole in the numbers is no loss as \
long as each `prev_seq` is the last `seq`. Keep the last `seq` and resume with it as \
`after_seq`.

| notification | parameters | meaning |
|---|---|---|
| `events.event` | `subscription`, `seq`, `prev_seq`, `result` | Something happened; `result` is \
an `EventEntry`, see `events.list`. |
| `events.caught_up` | `subscription`, `seq`, `prev_seq` | Nothing more for you up to `seq`: \
sent once when the stream is live, and at times while there is nothing for you. |
| `events.gap` | `subscription`, `seq`, `prev_seq`, `gap` | `gap` entries up to `seq` are gone \
by age. |
| `turns.delta` | `subscription`, `turn_id`, `session_key`, `step`, `attempt`, `offset`, `text` \
| A piece of an answer being written, where `previews` was asked for. It may be left out when \
you are slow: `offset` counts characters of one attempt of one step, and a higher `attempt` or \
another `step` means that what was shown before is to be discarded. What counts comes with \
`turn.completed`. |
| `step.restarted` | `subscription`, `turn_id`, `session_key`, `step`, `attempt` | Where \
`previews` was asked for: the answer begins anew, because a model server or the gateway broke off. \
Discard what was shown of this `step` with a lower `attempt`. It may be left out like a piece; the \
`attempt` of the next piece says the same. |
| `step.queued` | `subscription`, `turn_id`, `session_key`, `step`, `attempt`, `place` | Where \
`previews` was asked for: the model server works on as many requests as it can, and this one is at \
that place in the line; 0 when it is sent. |
"""


def protocol_page(methods: Sequence[Method[Any]] = METHODS) -> str:
    """The page, without the line that says who wrote it."""
    schemas = Schemas(methods)
    ordered = sorted(methods, key=lambda method: method.name)
    lines = ["# Protocol", "", INTRODUCTION]
    lines += ["## Methods", "", *_overview(ordered), ""]
    for method in ordered:
        lines += _method(method, schemas)
    lines += ["## Notifications", "", NOTIFICATIONS, "", "### Events", ""]
    rows = ((f"`{kind}`", _names(kind.data), kind.meaning) for kind in Kind)
    lines += [*_table(("kind", "in `data`", "meaning"), rows), ""]
    lines += ["## Shapes", "", "Objects that stand within parameters and results.", ""]
    for name, schema in schemas.shared.items():
        if schema.get("properties"):
            lines += [f"### {name} object", "", _sentence(schema), ""]
            lines += [*_members(schema, schemas), ""]
    return "\n".join(lines).rstrip() + "\n"


def _overview(methods: Iterable[Method[Any]]) -> Iterator[str]:
    rows = (
        (f"[`{method.name}`](#{_anchor(method.name)})", _scope(method), method.summary)
        for method in methods
    )
    return _table(("method", "scope", "what it does"), rows)


def _method(method: Method[Any], schemas: Schemas) -> Iterator[str]:
    yield from (f"### `{method.name}`", "")
    yield method.summary
    yield ""
    yield f"Scope: {_scope(method)}.{_conditions(method)}"
    yield ""
    params = schemas.params(method)
    if params:
        rows = (_param(param, schemas) for param in params)
        yield from _table(("parameter", "value", "default", "meaning"), rows)
    else:
        yield "No parameters."
    yield from ("", f"Result: {_type(schemas.result(method), schemas)}.", "")
    kinds = ", ".join(f"`{describe_class(error).kind}`" for error in errors_of(method))
    yield from (f"Errors: {kinds}.", "", "```jsonl")
    request = {"jsonrpc": "2.0", "id": 1, "method": method.name, "params": method.example.params}
    yield json.dumps(request)
    yield json.dumps({"jsonrpc": "2.0", "id": 1, "result": method.example.result})
    yield from ("```", "")


def _conditions(method: Method[Any]) -> str:
    said = ""
    if method.lasting:
        said += " On a WebSocket only."
    if not method.in_batch:
        said += " Not in a batch."
    if method.always:
        said += " Let in however busy the connection is."
    return said


def _scope(method: Method[Any]) -> str:
    return f"`{method.scope.value}`" if method.scope is not None else "none"


def _param(descriptor: dict[str, Any], schemas: Schemas) -> tuple[str, ...]:
    schema = descriptor["schema"]
    default = "required" if descriptor["required"] else _literal(schema.get("default"))
    return (
        f"`{descriptor['name']}`",
        _type(schema, schemas),
        default,
        descriptor.get("description", ""),
    )


def _members(schema: dict[str, Any], schemas: Schemas) -> Iterator[str]:
    rows = (
        (f"`{name}`", _type(value, schemas), value.get("description", ""))
        for name, value in schema["properties"].items()
    )
    return _table(("member", "value", "meaning"), rows)


def _type(schema: dict[str, Any], schemas: Schemas) -> str:
    """What a value looks like, in words."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            inner = schemas.shared[name]
            has_place = bool(inner.get("properties"))
            return f"[{name}](#{_anchor(name)}-object)" if has_place else _type(inner, schemas)
        case {"const": value}:
            return _literal(value)
        case {"enum": values}:
            return ", ".join(map(_literal, values))
        case {"anyOf": choices} | {"oneOf": choices}:
            return " or ".join(_type(choice, schemas) for choice in choices)
        case {"type": "array", "items": items}:
            return f"list of {_type(items, schemas)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_type(values, schemas)}"
        case {"type": kind}:
            return _KINDS[kind] + _bounds(schema)
        case _:
            return "any value"


_KINDS = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "array": "list",
    "null": "null",
}


def _bounds(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    longest = schema.get("maxLength")
    return f", at most {longest} characters" if longest is not None else ""


def _sentence(schema: dict[str, Any]) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _literal(value: Any) -> str:
    return f"`{json.dumps(value)}`"


def _names(text: str) -> str:
    return ", ".join(f"`{name}`" for name in text.split(", ") if name)


def _anchor(title: str) -> str:
    """The place a heading has on a page: letters, digits, `-` and `_` are kept."""
    kept = "".join(char for char in title.lower() if char.isalnum() or char in "-_ ")
    return kept.replace(" ", "-")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        cells = [" ".join(cell.split()).replace("|", "\\|") for cell in row]
        yield f"| {' | '.join(cells)} |"
