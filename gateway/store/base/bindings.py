"""Writes and reads of the route bindings added at run time (declared ones live in a file)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class PutBinding(NamedTuple):
    """Add or replace a binding (JSON text) by its id."""

    binding_id: str
    body: str
    at: int


class RemoveBinding(NamedTuple):
    """Take a binding away; refused `NotFound` when there is none by that id."""

    binding_id: str


class BindingRow(NamedTuple):
    binding_id: str
    body: str
    added_at: int


@dataclass(frozen=True, slots=True)
class ListBindings(Query[BindingRow]):
    """All of them in the order they were first added."""
