"""Writes and reads of what is known of keys and models: how each one does, kept over restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class PutStanding(NamedTuple):
    """Keep how a model does at a profile (JSON text); older news than what is kept is ignored."""

    profile: str
    model: str
    body: str
    at: int


class StandingRow(NamedTuple):
    profile: str
    model: str
    body: str
    at: int


@dataclass(frozen=True, slots=True)
class ListStandings(Query[StandingRow]):
    """All of them, by profile and model."""
