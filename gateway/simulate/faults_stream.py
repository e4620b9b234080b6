"""Faults in a stream: it breaks off, says something else, or is put together strangely."""

from __future__ import annotations

from gateway.simulate.answers import DONE, MODEL, Ending, Raw, chunk, event
from gateway.simulate.fault import Fault, Outcome

HELLO = chunk({"content": "Hel"}), chunk({"content": "lo"})
STOP = chunk({}, "stop")
USAGE = event(
    {
        "object": "chat.completion.chunk",
        "model": MODEL,
        "choices": [],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
)
ARGUMENTS = '{"path": "nötes.md"}'
MANY = 100_000


def _call(index: object, **members: object) -> bytes:
    return chunk({"tool_calls": [{"index": index, **members}]})


def _calls(*pieces: bytes) -> Raw:
    return Raw((*pieces, chunk({}, "tool_calls"), DONE))


def _stream(name: str, leads_to: Outcome, shows: str, *pieces: bytes) -> Fault:
    return Fault(name, leads_to, shows, Raw(pieces))


def _one_call(arguments: object) -> bytes:
    return _call(0, id="a", function={"name": "read_file", "arguments": arguments})


CUT = (
    _stream("no-finish", "truncated", "no finish reason before the end", *HELLO, DONE),
    _stream(
        "ends-mid-event", "truncated", "ends inside an event", *HELLO, b'data: {"choices": [{"del'
    ),
    Fault(
        "cut", "truncated", "the connection ends between two events", Raw(HELLO, ending=Ending.CUT)
    ),
    Fault(
        "cut-mid-event",
        "truncated",
        "the connection ends inside an event",
        Raw((*HELLO, b'data: {"choices": [{"del'), ending=Ending.CUT),
    ),
    Fault(
        "cut-at-once",
        "server",
        "the connection ends behind the headers",
        Raw((b"",), ending=Ending.CUT),
    ),
    Fault(
        "reset-mid-stream",
        "truncated",
        "the connection is reset between two events",
        Raw(HELLO, ending=Ending.RESET),
    ),
    _stream("finish-error", "server", "finish_reason: error", *HELLO, chunk({}, "error"), DONE),
    _stream("finish-abort", "truncated", "finish_reason: abort", *HELLO, chunk({}, "abort"), DONE),
)

GARBLED = (
    _stream("garbage-event", "bad_response", "an event that is no JSON", b"data: {no\n\n", DONE),
    _stream(
        "broken-utf8",
        "bad_response",
        "bytes that are no UTF-8",
        HELLO[0],
        b'data: {"x": "\xff\xfe"}\n\n',
        STOP,
        DONE,
    ),
    _stream("number-event", "bad_response", "an event that is a number", event(17)),
    _stream("null-event", "bad_response", "an event that is null", event(None)),
    _stream("comments-only", "bad_response", "comments, then the end", *(b": PROCESSING\n\n",) * 3),
    _stream(
        "odd-delta",
        "bad_response",
        "a delta that is a text",
        event({"choices": [{"delta": "text"}]}),
        STOP,
        DONE,
    ),
    _stream(
        "odd-choices",
        "bad_response",
        "choices that are an object",
        event({"choices": {"0": {}}}),
        STOP,
        DONE,
    ),
    _stream(
        "odd-content", "bad_response", "content of an object", chunk({"content": {"a": 1}}), STOP
    ),
    _stream(
        "odd-calls",
        "bad_response",
        "tool calls in an object",
        chunk({"tool_calls": {"a": 1}}),
        STOP,
    ),
)

ERRORS = (
    _stream(
        "error-event",
        "overloaded",
        "overloaded_error after some text (Anthropic)",
        HELLO[0],
        event({"error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ),
    _stream(
        "error-status-event",
        "overloaded",
        "an error whose code is 529, after some text",
        HELLO[0],
        event({"error": {"code": 529, "message": "no"}}),
    ),
    _stream(
        "error-provider-event",
        "server",
        "provider failed after some text (OpenRouter)",
        b": OPENROUTER PROCESSING\n\n",
        HELLO[0],
        event({"error": {"code": 502, "message": "Provider disconnected"}, "choices": []}),
    ),
    _stream(
        "error-text-event",
        "rate",
        "an error that is a text",
        event({"error": "rate limit reached"}),
    ),
    _stream(
        "error-list-event",
        "quota",
        "an error in a list",
        event([{"error": {"code": 402, "message": "no credits"}}]),
    ),
    _stream(
        "error-flat-event",
        "rate",
        "a flat error (Mistral)",
        event({"object": "error", "type": "rate_limited", "code": "1300"}),
    ),
)

CALLS = (
    _stream(
        "call-without-name",
        "bad_response",
        "a tool call without a name",
        _call(0, id="a", function={"arguments": "{}"}),
        STOP,
        DONE,
    ),
    _stream(
        "too-many-calls",
        "bad_response",
        "two hundred tool calls",
        *(_call(n, id=str(n), function={"name": "x"}) for n in range(200)),
        STOP,
        DONE,
    ),
    Fault(
        "arguments-split",
        "answer",
        "tool arguments, one letter an event",
        _calls(_one_call(""), *(_call(0, function={"arguments": letter}) for letter in ARGUMENTS)),
    ),
    Fault(
        "arguments-garbage", "answer", "tool arguments that are no JSON", _calls(_one_call("{oops"))
    ),
    Fault(
        "arguments-object",
        "answer",
        "tool arguments that are an object, not its text",
        _calls(_one_call({"path": "x"})),
    ),
    Fault(
        "unknown-tool",
        "answer",
        "a tool that was not offered",
        _calls(_call(0, id="a", function={"name": "no_such_tool", "arguments": "{}"})),
    ),
    Fault(
        "calls-same-index",
        "answer",
        "two tool calls under one index",
        _calls(
            _call(0, id="a", function={"name": "one", "arguments": "{}"}),
            _call(0, id="b", function={"name": "two", "arguments": "{}"}),
        ),
    ),
    Fault(
        "calls-no-index",
        "answer",
        "tool calls without an index",
        _calls(
            _call(None, id="a", function={"name": "one", "arguments": "{"}),
            _call(None, function={"arguments": "}"}),
            _call(None, id="b", function={"name": "two", "arguments": "{}"}),
        ),
    ),
    Fault(
        "calls-same-id",
        "answer",
        "two tool calls with one id",
        _calls(
            _call(0, id="a", function={"name": "one", "arguments": "{}"}),
            _call(1, id="a", function={"name": "two", "arguments": "{}"}),
        ),
    ),
)

ODD = (
    _stream("no-done", "answer", "no [DONE] at the end", *HELLO, STOP),
    _stream("comments", "answer", "comments between the events", b": x\n\n", *HELLO, STOP, DONE),
    _stream("null-delta", "answer", "null for a delta", *HELLO, chunk(None, "stop"), DONE),
    _stream("no-usage", "answer", "no usage although asked for", *HELLO, STOP, DONE),
    _stream("usage-twice", "answer", "usage in two events", *HELLO, STOP, USAGE, USAGE, DONE),
    _stream(
        "usage-garbage",
        "answer",
        "usage that holds no numbers",
        *HELLO,
        STOP,
        event({"choices": [], "usage": {"prompt_tokens": "7", "completion_tokens": -1}}),
        DONE,
    ),
    _stream(
        "content-parts",
        "answer",
        "text as a list of parts (Mistral)",
        chunk({"content": [{"type": "thinking"}, {"type": "text", "text": "Hello"}]}),
        STOP,
    ),
    _stream(
        "byte-by-byte",
        "answer",
        "each byte by itself",
        *(bytes((byte,)) for byte in b"".join((*HELLO, STOP, DONE))),
    ),
    _stream("duplicates", "answer", "an event twice", HELLO[0], *HELLO, STOP, STOP, DONE),
    _stream("length", "answer", "finish_reason: length", *HELLO, chunk({}, "length"), DONE),
    _stream(
        "content-filter",
        "answer",
        "finish_reason: content_filter after some text (Azure)",
        HELLO[0],
        chunk({}, "content_filter"),
        DONE,
    ),
    _stream("no-text", "bad_response", "a whole answer that says nothing", STOP, USAGE, DONE),
    _stream(
        "many-events",
        "answer",
        "a hundred thousand events",
        *(chunk({"content": "x"}) * 1000,) * (MANY // 1000),
        STOP,
        DONE,
    ),
)

STREAM = (*CUT, *GARBLED, *ERRORS, *CALLS, *ODD)
