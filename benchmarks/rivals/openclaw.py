"""OpenClaw, from npm, with a Node that it accepts, from npm too."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rivals.base import TOKEN, Client, Launch, NoAnswer, Place
from benchmarks.rivals.sockets import Message, Socket, open_socket, probe

NODE = "26.10.0"
"""OpenClaw 2026.9.6 wants 24.16 or more of 24, or 26.1 or more; few systems have either."""

SCOPES = ["operator.read", "operator.write"]
SIGN = """
const crypto = require("crypto"), fs = require("fs"), [, file, ...parts] = process.argv;
if (!fs.existsSync(file)) {
  const made = crypto.generateKeyPairSync("ed25519").privateKey;
  fs.writeFileSync(file, made.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
}
const key = crypto.createPrivateKey(fs.readFileSync(file));
const publicKey = crypto.createPublicKey(key).export({ format: "jwk" }).x;
const id = crypto.createHash("sha256").update(Buffer.from(publicKey, "base64url")).digest("hex");
const text = Buffer.from(["v3", id, ...parts].join("|"));
const signature = crypto.sign(null, text, key).toString("base64url");
console.log(JSON.stringify({ id, publicKey, signature }));
"""
"""In Node, which is there anyway: Python has no Ed25519 of its own."""


class OpenClaw:
    """`openclaw gateway`; its own protocol, version 4, over a WebSocket."""

    name = "openclaw"
    version = "2026.9.6"
    changed = "mode local, bound to loopback, with a token; its log in its home"

    def __init__(self) -> None:
        self.folder: Path

    def install(self, cache: Path) -> None:
        self.folder = cache / f"openclaw-{self.version}"
        whole = self.folder / "installed"
        if whole.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "package.json").write_text('{"private": true}', "utf-8")
        npm = ["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error"]
        subprocess.run([*npm, f"node@{NODE}"], cwd=self.folder, check=True, stdout=2)
        # Its install script looks at the Node that runs npm, so that has to be the new one.
        environment = os.environ | {"PATH": f"{self._bin}:{os.environ['PATH']}"}
        package = f"openclaw@{self.version}"
        subprocess.run([*npm, package], cwd=self.folder, env=environment, check=True, stdout=2)
        whole.touch()

    @property
    def _bin(self) -> Path:
        return self.folder / "node_modules" / ".bin"

    def launch(self, place: Place) -> Launch:
        model = {"id": "bench", "name": "bench", "input": ["text"]}
        provider = {"baseUrl": place.model, "api": "openai-completions", "models": [model]}
        names = ("bench", "second")
        providers = {
            name: {**provider, "apiKey": key} for name, key in zip(names, place.keys, strict=False)
        }
        primary, *fallbacks = (f"{name}/bench" for name in providers)
        settings = {
            "gateway": {
                "mode": "local",
                "bind": "loopback",
                "port": place.port,
                "auth": {"mode": "token", "token": TOKEN},
            },
            "logging": {"file": str(place.home / "openclaw.log")},
            "models": {"providers": providers},
            "agents": {"defaults": {"model": {"primary": primary, "fallbacks": fallbacks}}},
        }
        path = place.home / "openclaw.json"
        if not path.exists():  # it writes into this file, and a restart goes on with what it wrote
            path.write_text(json.dumps(settings), "utf-8")
        return Launch(
            (str(self._bin / "node"), str(self._bin / "openclaw"), "gateway"),
            {
                "HOME": str(place.home),
                "OPENCLAW_STATE_DIR": str(place.home / "state"),
                "OPENCLAW_CONFIG_PATH": str(path),
            },
        )

    async def connect(self, place: Place) -> Client:
        await probe(f"http://127.0.0.1:{place.port}/readyz")
        client = _Client(str(self._bin / "node"), place.home / "device.pem")
        await client.open(f"127.0.0.1:{place.port}")
        return client


class _Client:
    """The same as its web interface, with a device of its own: what that sends, and nothing else,
    is kept in a way that survives a restart."""

    def __init__(self, node: str, device: Path) -> None:
        self._node = node
        self._device = device
        self._ids = itertools.count()
        self._socket: Socket

    async def open(self, address: str) -> None:
        socket = await open_socket(f"ws://{address}/", Origin=f"http://{address}")
        self._socket = Socket(socket, self._read)
        challenge = await self._socket.wait("challenge")
        client = {
            "id": "openclaw-control-ui",
            "version": OpenClaw.version,
            "buildId": "dev",  # any other must be the one it serves
            "platform": "linux",
            "mode": "webchat",
        }
        await self._ask(
            "connect",
            minProtocol=4,
            maxProtocol=4,
            client=client,
            role="operator",
            scopes=SCOPES,
            caps=[],
            auth={"token": TOKEN},
            device=self._signed(client, challenge["payload"]),
        )

    def _signed(self, client: dict[str, str], challenge: Message) -> dict[str, Any]:
        """The device's answer to a challenge; its key is made at the first start of a home."""
        signed_at, nonce = challenge["ts"], challenge["nonce"]
        scopes = ",".join(SCOPES)
        parts = [client["id"], client["mode"], "operator", scopes, str(signed_at), TOKEN, nonce]
        words = [self._node, "-e", SIGN, str(self._device), *parts, client["platform"], ""]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
        return {**json.loads(done.stdout), "signedAt": signed_at, "nonce": nonce}

    async def say(
        self, chat: str, text: str, acknowledged: Callable[[], None] = lambda: None
    ) -> str:
        run = f"{chat}-{uuid.uuid4().hex}"
        key = f"agent:main:{chat}"
        await self._ask("chat.send", sessionKey=key, message=text, idempotencyKey=run)
        acknowledged()
        ended = await self._socket.wait(run)
        if ended["state"] != "final":
            raise NoAnswer(str(ended))
        return _text(ended.get("message") or {})

    async def answers(self, chats: Sequence[str]) -> list[str]:
        found: list[str] = []
        for chat in chats:
            history = await self._ask("chat.history", sessionKey=f"agent:main:{chat}")
            found += [
                _text(each) for each in history["messages"] if each.get("role") == "assistant"
            ]
        return found

    async def close(self) -> None:
        await self._socket.close()

    async def _ask(self, method: str, **params: Any) -> Any:
        id = f"ask-{next(self._ids)}"
        await self._socket.send({"type": "req", "id": id, "method": method, "params": params})
        return await self._socket.wait(id)

    def _read(self, message: Message) -> None:
        if message["type"] == "res":
            answer = message.get("payload") if message["ok"] else NoAnswer(str(message["error"]))
            self._socket.settle(message["id"], answer)
        elif message["event"] == "connect.challenge":
            self._socket.settle("challenge", message)
        elif message["event"] == "chat":
            payload = message["payload"]
            if payload["state"] in ("final", "error", "aborted"):
                self._socket.settle(payload["runId"], payload)


def _text(message: Message) -> str:
    content = message.get("content", "")
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)
