"""The faults an upstream can show, by the name that `fault:NAME` asks for. Data only."""

from __future__ import annotations

import gzip

from tests.support.upstream_replies import (
    DONE,
    JSON,
    SSE,
    Raw,
    Reply,
    chunk,
    document,
    event,
    refusal,
)

HTML = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
HELLO = chunk({"content": "Hel"}), chunk({"content": "lo"})
STOP = chunk({}, "stop")


def _call_piece(index: object, **members: object) -> bytes:
    return chunk({"tool_calls": [{"index": index, **members}]})


ARGUMENTS = '{"path": "nötes.md"}'

STATUS: dict[str, Raw] = {
    "bad_request": refusal(400, {"message": "unknown field", "type": "invalid_request_error"}),
    "overflow": refusal(
        400,
        {
            "message": "This model's maximum context length is 8192 tokens.",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        },
    ),
    "auth": refusal(401, {"message": "Incorrect API key provided", "code": "invalid_api_key"}),
    "payment": refusal(402, {"message": "no credits"}),
    "forbidden": refusal(403, {"message": "country not supported"}),
    "not_found": refusal(404, {"message": "no such model", "code": "model_not_found"}),
    "request_timeout": refusal(408, {"message": "slow"}),
    "too_large": refusal(413, {"message": "body too large"}),
    "unprocessable": refusal(422, {"message": "invalid parameters"}),
    "rate": refusal(429, {"message": "slow down", "code": "rate_limit_exceeded"}, retry_after="7"),
    "rate_ms": refusal(429, {"message": "slow down"}, retry_after_ms="1500", retry_after="7"),
    "rate_bare": Raw((), 429, {}),
    "quota": refusal(429, {"message": "pay", "type": "insufficient_quota"}),
    "capacity": refusal(498, {"message": "flex", "code": "capacity_exceeded"}),
    "server": refusal(500, {"message": "boom", "type": "server_error"}),
    "gateway_html": Raw((HTML,), 502, {"content-type": "text/html"}),
    "unavailable": refusal(503, {"message": "Loading model"}),
    "overloaded": refusal(529, {"type": "overloaded_error", "message": "Overloaded"}),
    "redirect": Raw((), 307, {"location": "/v1/elsewhere"}),
    "list_body": document([{"error": {"message": "API key not valid", "code": 400}}], status=400),
    "string_body": refusal(404, "model 'x' not found"),
    "bare_string": document("upstream connect error", status=503),
}

BODY: dict[str, Raw] = {
    "empty": Raw((), 200, {}),
    "empty_json": Raw((), 200, JSON),
    "html": Raw((HTML,), 200, {"content-type": "text/html; charset=utf-8"}),
    "html_as_json": Raw((HTML,), 200, JSON),
    "broken_json": Raw((b'{"choices": [',), 200, JSON),
    "error_in_200": document({"error": {"message": "provider down", "code": 502}}),
    "string_error_in_200": document({"error": "something broke"}),
    "error_list_in_200": document([{"error": {"message": "slow", "code": "rate_limit_exceeded"}}]),
    "string_in_200": document("nope"),
    "no_choices": document({"choices": []}),
    "null_choices": document({"choices": None}),
    "plain_json": Reply("Hello").render(1, "test", stream=False),
    "plain_json_cut": document({"choices": [{"message": {"content": "Hel"}}]}),
    "endless": Raw((b"data: " + b"x" * 1024 * 1024,) * 60),
    "endless_error": Raw((b"x" * 1024 * 1024,) * 60, 500, JSON),
    "gzip": Raw((gzip.compress(b" " * 10_000_000),), 200, JSON | {"content-encoding": "gzip"}),
    "deep_json": Raw((b"[" * 100_000,), 200, JSON),
    "huge_number": Raw((b'{"choices": ' + b"9" * 10_000 + b"}",), 200, JSON),
}

STREAM: dict[str, Raw] = {
    "no_done": Raw((*HELLO, STOP)),
    "no_finish": Raw((*HELLO, DONE)),
    "cut_after_events": Raw(HELLO, complete=False),
    "cut_mid_event": Raw((*HELLO, b'data: {"choices": [{"del'), complete=False),
    "ends_mid_event": Raw((*HELLO, b'data: {"choices": [{"del')),
    "cut_at_once": Raw((), complete=False),
    "garbage_event": Raw((HELLO[0], b"data: {nonsense\n\n", STOP, DONE)),
    "broken_utf8": Raw((HELLO[0], b'data: {"x": "\xff\xfe"}\n\n', STOP, DONE)),
    "error_event": Raw(
        (HELLO[0], event({"error": {"type": "overloaded_error", "message": "Overloaded"}}))
    ),
    "error_status_event": Raw((HELLO[0], event({"error": {"code": 529, "message": "no"}}))),
    "error_string_event": Raw((event({"error": "rate limit reached"}),)),
    "error_list_event": Raw((event([{"error": {"code": 402, "message": "no credits"}}]),)),
    "flat_error_event": Raw((event({"object": "error", "type": "rate_limited", "code": "1300"}),)),
    "number_event": Raw((event(17),)),
    "null_event": Raw((event(None),)),
    "comments_only": Raw((b": PROCESSING\n\n",) * 3),
    "odd_delta": Raw((event({"choices": [{"delta": "text"}]}), STOP, DONE)),
    "odd_choices": Raw((event({"choices": {"0": {}}}), STOP, DONE)),
    "odd_content": Raw((chunk({"content": {"a": 1}}), STOP, DONE)),
    "odd_calls": Raw((chunk({"tool_calls": {"a": 1}}), STOP, DONE)),
    "nameless_call": Raw((_call_piece(0, id="a", function={"arguments": "{}"}), STOP, DONE)),
    "too_many_calls": Raw(
        (*(_call_piece(n, id=str(n), function={"name": "x"}) for n in range(200)), STOP, DONE)
    ),
    "finish_error": Raw((*HELLO, chunk({}, "error"), DONE)),
    "finish_abort": Raw((*HELLO, chunk({}, "abort"), DONE)),
}

GOOD: dict[str, Raw] = {
    "comments": Raw((b": PROCESSING\n\n", *HELLO, b": still\n\n", STOP, DONE)),
    "null_delta": Raw((*HELLO, chunk(None, "stop"), DONE)),
    "no_usage": Raw((*HELLO, STOP, DONE)),
    "content_parts": Raw(
        (chunk({"content": [{"type": "thinking"}, {"type": "text", "text": "Hello"}]}), STOP)
    ),
    "byte_by_byte": Raw(tuple(bytes((b,)) for b in b"".join((*HELLO, STOP, DONE)))),
    "length": Raw((*HELLO, chunk({}, "length"), DONE)),
    "filtered": Raw((HELLO[0], chunk({}, "content_filter"), DONE)),
    "arguments_split": Raw(
        (
            _call_piece(0, id="a", function={"name": "read_file", "arguments": ""}),
            *(_call_piece(0, function={"arguments": letter}) for letter in ARGUMENTS),
            chunk({}, "tool_calls"),
            DONE,
        )
    ),
    "arguments_garbage": Raw(
        (
            _call_piece(0, id="a", function={"name": "read_file", "arguments": "{oops"}),
            chunk({}, "tool_calls"),
            DONE,
        )
    ),
    "arguments_object": Raw(
        (
            _call_piece(0, id="a", function={"name": "read_file", "arguments": {"path": "x"}}),
            chunk({}, "tool_calls"),
            DONE,
        )
    ),
    "same_index": Raw(
        (
            _call_piece(0, id="a", function={"name": "one", "arguments": "{}"}),
            _call_piece(0, id="b", function={"name": "two", "arguments": "{}"}),
            chunk({}, "tool_calls"),
            DONE,
        )
    ),
    "no_index": Raw(
        (
            _call_piece(None, id="a", function={"name": "one", "arguments": "{"}),
            _call_piece(None, function={"arguments": "}"}),
            _call_piece(None, id="b", function={"name": "two", "arguments": "{}"}),
            chunk({}, "tool_calls"),
            DONE,
        )
    ),
    "same_id": Raw(
        (
            _call_piece(0, id="a", function={"name": "one", "arguments": "{}"}),
            _call_piece(1, id="a", function={"name": "two", "arguments": "{}"}),
            chunk({}, "tool_calls"),
            DONE,
        )
    ),
}

HELD: dict[str, Raw] = {
    "silent": Raw(hold_before=0),
    "silent_after_text": Raw((*HELLO, STOP, DONE), headers=SSE, hold_before=2),
}
"""Nothing comes until the server is released."""

FAULTS: dict[str, Raw] = STATUS | BODY | STREAM | GOOD | HELD
