"""What scopes allow, and that asking for less never gives more."""

from __future__ import annotations

import pytest

from gateway.core.errors import Forbidden
from gateway.identity.principal import Principal, Scope


def principal(*scopes: Scope) -> Principal:
    return Principal("p", frozenset(scopes), "k_1")


def test_a_scope_allows_itself_and_nothing_else() -> None:
    """Chat does not read, and an operator does not administer."""
    chatting = principal(Scope.CHAT)
    chatting.require(Scope.CHAT)
    for scope in (Scope.READ, Scope.OPERATOR, Scope.ADMIN):
        with pytest.raises(Forbidden, match=scope.value):
            chatting.require(scope)


def test_admin_has_every_scope() -> None:
    """Whoever may make credentials could give them to itself anyway."""
    for scope in Scope:
        principal(Scope.ADMIN).require(scope)


def test_narrowing_never_widens() -> None:
    """What a client declares can only take away."""
    assert principal(Scope.READ).narrowed(Scope).scopes == {Scope.READ}
    assert principal(Scope.READ, Scope.CHAT).narrowed([Scope.CHAT]).scopes == {Scope.CHAT}
    assert principal(Scope.ADMIN).narrowed([Scope.READ]).scopes == {Scope.READ}
    assert not principal(Scope.ADMIN).narrowed([Scope.READ]).has(Scope.ADMIN)
