"""What a check is, and the few questions that most of them ask.

A check is a small function on a `Subject`: it returns when the server does what its clause says and
raises `Breach` when it does not. The values it compares with are written out here and there, not
taken from the gateway's own tables: a check that reads the same table as the server finds nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.conformance.subject import Breach, Subject, Talk

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
QUIET_S = 0.1
"""How long an answer that must not come is listened for: many times what one takes."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the catalogue; `clause` says where the demand comes from."""

    name: str
    clause: str
    run: Callable[[Subject], Awaitable[None]]


def same(found: Any, wanted: Any, what: str) -> None:
    """Whether a value is the wanted one, of the same type."""
    if found != wanted or type(found) is not type(wanted):
        raise Breach(f"{what}: expected {wanted!r}, got {_short(found)}")


def holds(truth: object, what: str, found: Any) -> None:
    """Whether what should hold does."""
    if not truth:
        raise Breach(f"{what}; got {_short(found)}")


def result_of(answer: Any, id: Any) -> Any:
    """The result of an answer that has one."""
    _envelope(answer, id)
    holds("result" in answer, "expected a result", answer)
    return answer["result"]


def refused(answer: Any, id: Any, code: int, kind: str) -> Mapping[str, Any]:
    """The `data` of an answer that is this error."""
    _envelope(answer, id)
    holds("error" in answer, f"expected the error {kind!r}", answer)
    error = answer["error"]
    holds(isinstance(error, dict), "an error is an object", error)
    same(error.get("code"), code, "code")
    holds(isinstance(error.get("message"), str), "an error has a message", error)
    data = error.get("data")
    holds(isinstance(data, dict), "an error has data", error)
    same(data.get("kind"), kind, "kind")
    holds(isinstance(data.get("retryable"), bool), "data says whether to try again", data)
    found: Mapping[str, Any] = data
    return found


async def silent(talk: Talk) -> None:
    """Nothing was answered to what was said: not before the next questions, and not soon after."""
    for number in range(2):
        answer = await talk.ask("turns.list", {"limit": 100}, id=f"probe-{number}")
        result_of(answer, f"probe-{number}")
    await talk.hear_nothing(QUIET_S)


def _envelope(answer: Any, id: Any) -> None:
    holds(isinstance(answer, dict), "an answer is an object", answer)
    same(answer.get("jsonrpc"), "2.0", "jsonrpc")
    holds(("result" in answer) != ("error" in answer), "either a result or an error", answer)
    holds("id" in answer, "an answer has an id", answer)
    same(answer["id"], id, "id")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
