"""What a method is: one record from which validation, documentation and tests are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from gateway.identity.principal import Scope
from gateway.rpc.call import Call

P = TypeVar("P", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Method(Generic[P]):
    """One line of the catalogue.

    `scope` None: anybody may call it, authenticated or not (only `connect` and discovery).
    `always`: admitted however busy the connection is (cancel, status). `lasting`: needs a
    connection that stays. `example` is a pair of params and result as JSON values that the
    documentation shows and a test runs.
    """

    name: str
    scope: Scope | None
    params: type[P]
    result: type[BaseModel]
    handler: Callable[[Call, P], Awaitable[BaseModel]]
    summary: str
    always: bool = False
    lasting: bool = False
    in_batch: bool = True
    example: tuple[dict[str, Any], dict[str, Any]] | None = None
