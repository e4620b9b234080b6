"""Builds the shipped channels: the one of JSON-RPC clients and the terminal."""

from __future__ import annotations

import os
import sys

from channels.base.channel import Channel, Terminal
from channels.stdio.channel import StdioChannel, Streams
from channels.stdio.ndjson import NdjsonDialect
from channels.stdio.plain import for_streams
from channels.websocket import WebSocketChannel
from gateway.core.clock import SystemClock
from gateway.telemetry.tasks import task_failed


def client_channel() -> Channel:
    """The channel of JSON-RPC clients; the network surface carries it."""
    return WebSocketChannel()


def open_terminal(*, as_json: bool) -> Terminal:
    """The channel over this process's own streams."""
    streams = Streams(sys.stdin, sys.stdout, sys.stderr)
    dialect = NdjsonDialect() if as_json else for_streams(sys.stdin, sys.stdout, os.environ)
    return StdioChannel(streams, dialect, clock=SystemClock(), on_failure=task_failed)


def terminal_prompt() -> str:
    """What a person in front of this terminal is shown while they may type; empty without one."""
    return for_streams(sys.stdin, sys.stdout, os.environ).prompt()
