"""What runs used of models: calls, and tokens in and out, written with the end of an attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class ChargeRun(NamedTuple):
    """Note what one attempt of a step used of a model: calls, and tokens in and out."""

    run_id: str
    epoch: int
    path: str
    attempt: int
    model: str
    calls: int
    tokens_in: int
    tokens_out: int


class CostRow(NamedTuple):
    model: str
    calls: int
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class RunCosts(Query[CostRow]):
    """What one run used, by model."""

    run_id: str


class SpentRow(NamedTuple):
    session_key: str
    tokens: int


@dataclass(frozen=True, slots=True)
class SpentSince(Query[SpentRow]):
    """Tokens used by runs begun since then, by conversation."""

    since: int


@dataclass(frozen=True, slots=True)
class RootCosts(Query[CostRow]):
    """What everything used that one run set off, itself included, by model."""

    root: str
