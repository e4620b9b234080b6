"""Every method there is, in one place: what is not listed here cannot be called."""

from __future__ import annotations

from typing import Any

from gateway.rpc.method import Method
from gateway.rpc.methods import connection, discovery, events, explain, status, turns

METHODS: tuple[Method[Any], ...] = (
    connection.CONNECT,
    connection.LOGIN,
    connection.CANCEL_REQUEST,
    discovery.DISCOVER,
    discovery.LIST_METHODS,
    status.STATUS,
    turns.SEND,
    turns.START,
    turns.WAIT,
    turns.GET,
    turns.LIST,
    turns.CANCEL,
    explain.EXPLAIN,
    events.SUBSCRIBE,
    events.UNSUBSCRIBE,
    events.LIST,
    events.ON,
    events.OFF,
)
