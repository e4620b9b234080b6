"""Faults in a body: a status that promises an answer, and something else behind it."""

from __future__ import annotations

import gzip

from gateway.simulate.answers import (
    CHARS_PER_TOKEN,
    HTML,
    JSON,
    MODEL,
    SSE,
    Raw,
    Reply,
    document,
)
from gateway.simulate.fault import Fault

PAGE = b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"
WHOLE = Reply("Hello", usage=(7, 3)).render(1, MODEL, stream=True)
HELLO = b"".join(piece for piece in WHOLE.pieces if isinstance(piece, bytes))


def _bad(name: str, shows: str, answer: Raw) -> Fault:
    return Fault(name, "bad_response", shows, answer)


BODY = (
    _bad("empty", "200 without a body", Raw((), 200, {})),
    _bad("empty-json", "200 with an empty JSON body", Raw((), 200, JSON)),
    _bad("html", "200 with a web page", Raw((PAGE,), 200, HTML)),
    _bad("html-as-json", "200, a web page said to be JSON", Raw((PAGE,), 200, JSON)),
    _bad("broken-json", "200 with half a JSON body", Raw((b'{"choices": [',), 200, JSON)),
    Fault("text-in-200", "server", "200 with a text for a body", document("nope")),
    _bad("number-not", "200 with NaN for choices", Raw((b'{"choices": NaN}',), 200, JSON)),
    _bad("no-choices", "200 with an empty list of choices", document({"choices": []})),
    _bad("null-choices", "200 with null for choices", document({"choices": None})),
    _bad("deep-json", "200, a hundred thousand brackets", Raw((b"[" * 100_000,), 200, JSON)),
    _bad(
        "huge-number",
        "200, a number of ten thousand digits",
        Raw((b'{"choices": ' + b"9" * 10_000 + b"}",), 200, JSON),
    ),
    _bad("endless", "200, an event of 60 MB", Raw((b"data: " + b"x" * (1 << 20),) * 60)),
    _bad(
        "gzip",
        "200, compressed without being asked to, a thousand times larger inside",
        Raw((gzip.compress(b" " * 10_000_000),), 200, JSON | {"content-encoding": "gzip"}),
    ),
    _bad(
        "wrong-encoding",
        "200, said to be compressed and is not",
        Raw((HELLO,), 200, SSE | {"content-encoding": "br"}),
    ),
    Fault(
        "error-in-200",
        "server",
        "200 with an error for a body (OpenRouter)",
        document({"error": {"message": "provider down", "code": 502}}),
    ),
    Fault(
        "error-text-in-200",
        "server",
        "200 with a text for an error",
        document({"error": "something broke"}),
    ),
    Fault(
        "error-list-in-200",
        "rate",
        "200 with an error in a list (Gemini)",
        document([{"error": {"message": "slow", "code": "rate_limit_exceeded"}}]),
    ),
    Fault(
        "plain-json",
        "answer",
        "asked for a stream, a whole JSON answer comes",
        Reply("Hello", usage=(7, 3)).render(1, MODEL, stream=False),
    ),
    Fault(
        "plain-json-cut",
        "truncated",
        "a whole JSON answer without its finish reason",
        document({"choices": [{"message": {"content": "Hel"}}]}),
    ),
    Fault(
        "wrong-content-type",
        "answer",
        "a good stream said to be text/plain",
        Raw((HELLO,), headers={"content-type": "text/plain"}),
    ),
    Fault(
        "unknown-fields",
        "answer",
        "a good answer with unknown members",
        document(
            {
                "model": MODEL,
                "x_provider": {"region": "here"},
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": "Hello", "mood": 1},
                        "finish_reason": "stop",
                        "x_score": 0.5,
                    }
                ],
            }
        ),
    ),
    Fault(
        "silent-overflow",
        "answer",
        "an answer to a conversation cut in silence: usage counts few tokens (Ollama)",
        Reply("Hello", usage=(CHARS_PER_TOKEN, 1)).render(1, MODEL, stream=True),
    ),
)
