"""turngate itself, from this checkout."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.rivals.base import TOKEN, Client, Launch, NoAnswer, Place
from benchmarks.rivals.sockets import Message, Socket, open_socket, probe


class Turngate:
    """`python -m gateway up`; its JSON-RPC over a WebSocket."""

    name = "turngate"
    version = version("turngate")
    changed = "log level error"

    def install(self, cache: Path) -> None:
        """It is what runs this."""

    def launch(self, place: Place) -> Launch:
        keys = dict(zip(("LLM_API_KEY", "LLM_API_KEY_1"), place.keys, strict=False))
        return Launch(
            (
                *(sys.executable, "-m", "gateway", "up"),
                *("--port", str(place.port), "--log-level", "error"),
            ),
            {
                "TURNGATE_HOME": str(place.home / "home"),
                "WORKSPACE_DIR": str(place.home / "workspace"),
                "TURNGATE_TOKEN": TOKEN,
                "LLM_BASE_URL": place.model,
                "LLM_MODEL": "bench",
                **keys,
            },
        )

    async def connect(self, place: Place) -> Client:
        await probe(f"http://127.0.0.1:{place.port}/readyz")
        client = _Client()
        await client.open(f"ws://127.0.0.1:{place.port}/ws")
        return client


class _Client:
    def __init__(self) -> None:
        self._ids = itertools.count()
        self._socket: Socket

    async def open(self, url: str) -> None:
        socket = await open_socket(url, Authorization=f"Bearer {TOKEN}")
        self._socket = Socket(socket, self._read)
        await self._ask("events.subscribe", filter={"kinds": ["turn."]}, previews=True)

    async def say(
        self, chat: str, text: str, acknowledged: Callable[[], None] = lambda: None
    ) -> str:
        started = await self._ask("turns.start", text=text, peer_id=chat)
        acknowledged()
        ended: Message = await self._socket.wait(started["turn_id"])
        if ended["kind"] != "turn.completed":
            raise NoAnswer(str(ended))
        return str(ended["text"])

    async def answers(self, chats: Sequence[str]) -> list[str]:
        sessions = await self._ask("sessions.list", limit=100)
        found: list[str] = []
        for session in sessions["sessions"]:
            page = await self._ask("sessions.history", session_key=session["session_key"])
            found += [each["text"] for each in page["entries"] if each["role"] == "assistant"]
        return found

    async def close(self) -> None:
        await self._socket.close()

    async def _ask(self, method: str, **params: Any) -> Any:
        id = f"ask-{next(self._ids)}"
        await self._socket.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        return await self._socket.wait(id)

    def _read(self, message: Message) -> None:
        if "id" in message:
            result = message.get("result")
            self._socket.settle(message["id"], result or NoAnswer(str(message)))
        elif message["method"] == "events.event":
            event = message["params"]["result"]
            if event["kind"] in ("turn.completed", "turn.failed", "turn.cancelled"):
                self._socket.settle(event["turn_id"], event)
