"""What a method is: one record from which validation, documentation and tests are made.

What a method takes and gives, and what it is for, stand at its handler: its annotations and the
first paragraph of its docstring.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel

from gateway.core.errors import TurngateError
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.wire.methods.base import Params

P = TypeVar("P", bound=Params)


@dataclass(frozen=True, slots=True)
class Example:
    """A call as the documentation shows it and a test runs it; JSON values."""

    params: dict[str, Any]
    result: Any


@cache
def examples() -> dict[str, Example]:
    """By the name of the method, from `examples.jsonl`.

    Each line is one call of one imagined conversation, so the same ids mean the same things in all.
    """
    lines = (resources.files(__package__) / "examples.jsonl").read_bytes().splitlines()
    rows = map(orjson.loads, lines)
    return {row["method"]: Example(row["params"], row["result"]) for row in rows}


def _always_ready() -> None:
    """Allows every caller."""


@dataclass(frozen=True, slots=True)
class Method(Generic[P]):
    """One line of the catalogue.

    `scope` None: anybody may call it, authenticated or not (only `connect` and discovery).
    `always`: admitted however busy the connection is (cancel, approve, status).
    `adds_work`: makes something run that did not, so it is refused while the gateway starts or
    stops, and rated by principal. `lasting`: needs a connection that stays. `in_batch` False:
    refused within a batch, because it may wait long. `whole`: answers one message or turn, or
    pages that keep themselves short, so the answer is sent however long its words are.
    `errors` are those beyond what every method may answer. `ready` raises `Busy` when nobody may
    call it now; it is asked before a request costs anything, and the handler asks again.
    """

    name: str
    scope: Scope | None
    handler: Callable[[Call, P], Awaitable[BaseModel]]
    summary: str = ""
    always: bool = False
    adds_work: bool = False
    lasting: bool = False
    in_batch: bool = True
    whole: bool = False
    errors: tuple[type[TurngateError], ...] = ()
    ready: Callable[[], None] = _always_ready
    params: type[P] = field(init=False)
    result: type[BaseModel] = field(init=False)

    def __post_init__(self) -> None:
        types = inspect.get_annotations(self.handler, eval_str=True)
        object.__setattr__(self, "params", types["params"])
        object.__setattr__(self, "result", types["return"])
        if not self.summary:
            said = (inspect.getdoc(self.handler) or "").partition("\n\n")[0]
            object.__setattr__(self, "summary", " ".join(said.split()))

    @property
    def example(self) -> Example:
        """A call of it. Raises `KeyError` when nobody has written one."""
        return examples()[self.name]
