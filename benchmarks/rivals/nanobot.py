"""nanobot, from PyPI: its gateway with the WebSocket channel that its web interface uses."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.rivals.base import TOKEN, Client, Launch, NoAnswer, Place
from benchmarks.rivals.sockets import Message, Socket, open_socket, probe


class Nanobot:
    """`nanobot gateway --foreground`; health on one port, the channel on the next."""

    name = "nanobot"
    version = "0.3.5"
    changed = "the WebSocket channel is switched on, with a token"

    def __init__(self) -> None:
        self.folder: Path

    def install(self, cache: Path) -> None:
        self.folder = cache / f"nanobot-{self.version}"
        whole = self.folder / "installed"
        if whole.exists():
            return
        python = str(self.folder / "bin" / "python")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.folder)], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", f"nanobot-ai=={self.version}"]
        subprocess.run(pip, check=True)
        whole.touch()

    def launch(self, place: Place) -> Launch:
        providers = [{"apiBase": place.model, "apiKey": key} for key in place.keys]
        defaults = {
            "workspace": str(place.home / "workspace"),
            "model": "bench",
            "provider": "custom",
            # It has no second key for a provider: what its pages offer is another provider.
            "fallbackModels": [{"model": "bench", "provider": "second"} for _ in providers[1:]],
        }
        channel = {"enabled": True, "port": place.port + 1, "token": TOKEN}
        settings = {
            "agents": {"defaults": defaults},
            "providers": dict(zip(("custom", "second"), providers, strict=False)),
            "gateway": {"port": place.port},
            "channels": {"websocket": channel},
        }
        path = place.home / "config.json"
        if not path.exists():  # it writes into this file, and a restart goes on with what it wrote
            path.write_text(json.dumps(settings), "utf-8")
        command = str(self.folder / "bin" / "nanobot")
        return Launch(
            (command, "gateway", "--foreground", "--config", str(path)), {"HOME": str(place.home)}
        )

    async def connect(self, place: Place) -> Client:
        await probe(f"http://127.0.0.1:{place.port}/health")
        client = _Client(place.home / "sessions")
        await client.open(f"ws://127.0.0.1:{place.port + 1}/?client_id=bench&token={TOKEN}")
        return client


class _Client:
    """A message with `webui` and a turn id, as its web interface sends it, is acknowledged."""

    def __init__(self, sessions: Path) -> None:
        self._sessions = sessions
        self._ids = itertools.count()
        self._texts: dict[str, str] = {}
        self._socket: Socket

    async def open(self, url: str) -> None:
        self._socket = Socket(await open_socket(url), self._read)
        await self._socket.wait("ready")

    async def say(
        self, chat: str, text: str, acknowledged: Callable[[], None] = lambda: None
    ) -> str:
        turn = f"{chat}-{next(self._ids)}"
        message = {"type": "message", "chat_id": chat, "content": text}
        await self._socket.send({**message, "webui": True, "turn_id": turn})
        await self._socket.wait(f"accepted {turn}")
        acknowledged()
        await self._socket.wait(f"ended {turn}")
        return self._texts.pop(turn, "")

    async def answers(self, chats: Sequence[str]) -> list[str]:
        """From its files: what a client may ask for is drawn from the same ones."""
        lines = [
            json.loads(line)
            for path in self._sessions.rglob("*.jsonl")
            for line in path.read_text("utf-8").splitlines()
        ]
        return [str(line["content"]) for line in lines if line.get("role") == "assistant"]

    async def close(self) -> None:
        await self._socket.close()

    def _read(self, message: Message) -> None:
        turn = message.get("turn_id", "")
        match message["event"]:
            case "ready":
                self._socket.settle("ready", message)
            case "message_accepted":
                self._socket.settle(f"accepted {turn}", message)
            case "delta":
                self._texts[turn] = self._texts.get(turn, "") + message["text"]
            case "message":
                self._texts.setdefault(turn, message["text"])
            case "error":
                self._socket.settle(f"accepted {turn}", NoAnswer(str(message)))
            case "turn_end":
                self._socket.settle(f"ended {turn}", message)
