"""Who may call what: a matrix made from the catalogue, and what it takes to be in it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import orjson
import pytest

from gateway.identity.principal import Principal, Scope
from gateway.rpc import methods
from gateway.rpc.catalog import METHODS
from gateway.rpc.method import Method
from tests.unit.gateway.rpc.talk import NOBODY, World

OPEN = frozenset({"connect", "rpc.login", "$/cancelRequest", "rpc.discover", "__listMethods"})
"""Whoever comes may call these: how else would anybody get in."""

PRINCIPALS: dict[str, Principal] = {
    "nobody": NOBODY,
    **{
        scope.value: Principal(f"only-{scope.value}", frozenset({scope}), f"k_{scope.value}")
        for scope in Scope
    },
}


def allowed(method: Method[Any], who: str) -> bool:
    """By the rule: the one scope it names, or admin."""
    return method.scope is None or who in (method.scope.value, "admin")


@pytest.mark.parametrize("who", PRINCIPALS)
async def test_the_scope_is_looked_at_before_the_parameters(world: World, who: str) -> None:
    """With parameters that fit nothing: who may call is told of them, the others are not."""
    principal = PRINCIPALS[who]
    talk = world.talk(principal)
    wrong: list[str] = []
    for method in METHODS:
        await talk.request(method.name, {"no such parameter": 1}, id=method.name)
        error = (await talk.answer(method.name))["error"]
        expected = "invalid"
        if not allowed(method, who):
            expected = "unauthenticated" if who == "nobody" else "forbidden"
        if error["data"]["kind"] != expected:
            wrong.append(f"{method.name}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("who", PRINCIPALS)
async def test_the_matrix_holds_over_http(world: World, who: str) -> None:
    """Where what needs a connection is refused for another reason, but not earlier."""
    for method in METHODS:
        request = {"jsonrpc": "2.0", "method": method.name, "params": [1] * 40, "id": 1}
        frame = await world.rpc.handle(orjson.dumps(request), PRINCIPALS[who], "10.0.0.9")
        kind = orjson.loads(frame or b"")["error"]["data"]["kind"]
        forbidden = "unauthenticated" if who == "nobody" else "forbidden"
        assert (kind == forbidden) is not allowed(method, who), method.name


def test_every_method_names_a_scope_or_is_one_of_the_open_few() -> None:
    """A new one that forgets its scope fails here."""
    assert {method.name for method in METHODS if method.scope is None} == OPEN


def test_names_are_unique() -> None:
    """The catalogue has one line a method."""
    names = [method.name for method in METHODS]
    assert len(names) == len(set(names))


def test_what_must_always_get_through_does() -> None:
    """However busy a connection is."""
    always = {method.name for method in METHODS if method.always}
    cancels = {
        m.name for m in METHODS if m.name.endswith((".cancel", ".unsubscribe", ".off", ".revoke"))
    }
    decides = {"runs.decide", "runs.emit"}
    assert always == cancels | decides | {"connect", "rpc.login", "status", "$/cancelRequest"}


def test_what_may_wait_long_is_not_for_batches() -> None:
    """It would hold up the others."""
    assert {method.name for method in METHODS if not method.in_batch} == {
        "send",
        "turns.wait",
        "runs.stream",
        "sessions.compact",
    }


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_parameters_without_a_default_come_first(method: Method[Any]) -> None:
    """Positional ones follow the documented order, in which required ones stand first."""
    required = [field.is_required() for field in method.params.model_fields.values()]
    assert required == sorted(required, reverse=True)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_has_a_summary_and_its_handler_a_sentence(method: Method[Any]) -> None:
    """Both are shown to people."""
    assert method.summary.endswith(".")
    assert method.handler.__doc__


def test_every_method_that_is_written_is_listed() -> None:
    """One that is not listed cannot be called: somebody forgot a line."""
    written = {
        value.name
        for info in pkgutil.iter_modules(methods.__path__, f"{methods.__name__}.")
        for value in vars(importlib.import_module(info.name)).values()
        if isinstance(value, Method)
    }
    assert written == {method.name for method in METHODS}


async def test_a_client_cannot_claim_scopes(world: World) -> None:
    """What it says of itself is not read: extra members are no credentials."""
    request = {
        "jsonrpc": "2.0",
        "method": "bindings.list",
        "id": 1,
        "scopes": ["admin"],
        "principal": "root",
        "auth": {"scope": "admin"},
    }
    frame = await world.rpc.handle(orjson.dumps(request), PRINCIPALS["read"], "")
    assert orjson.loads(frame or b"")["error"]["data"]["kind"] == "forbidden"
