"""Attacks that only show on a whole gateway: the command, its port and its database."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gateway.rpc.catalog import METHODS
from tests.support.canned import canned
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.cli.shell import Shell

pytestmark = pytest.mark.timeout(60)  # gateways are started

SQL = ("'; DROP TABLE inputs; --", '" OR "1"="1', "x') UNION SELECT token_hash FROM credentials --")
KEY = "Zq7-canary-of-a-key-0123456789"
"""Has the shape of no provider's keys, so that only knowing it can hide it."""
TOKEN = "canary-of-the-operators-token-0123456789"


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("whole"))


class Caller:
    """Somebody with a token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self.headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=url,
            trust_env=False,
            verify=False,  # plain
            timeout=PATIENCE_S,
        )

    def post(self, method: str, params: dict[str, Any]) -> Any:
        """The whole answer."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self._http.post("/rpc", json=request, headers=self.headers).json()

    def call(self, method: str, **params: Any) -> Any:
        return self.post(method, params)["result"]

    def ready(self) -> bool:
        """Whether it takes work: a model may take seconds to load."""
        return self._http.get("/readyz").status_code == 200

    def metrics(self) -> str:
        return self._http.get("/metrics", headers=self.headers).text

    def close(self) -> None:
        self._http.close()


@contextmanager
def gateway(shell: Shell, **environment: str) -> Iterator[Caller]:
    with shell.up(**environment) as (process, url):
        operator = Caller(url, (shell.home / "token").read_text("utf-8").strip())
        try:
            while not operator.ready():
                pass
            yield operator
        finally:
            operator.close()
            process.send_signal(signal.SIGKILL)  # nobody says goodbye: what counts is on disk
            process.wait()


def test_an_open_port_needs_a_chosen_token(shell: Shell) -> None:
    """It does not start; the exit code is that of a configuration, and the sentence says more."""
    done = shell.run("up", "--host", "0.0.0.0", "--port", "0")
    assert (done.returncode, done.stdout) == (78, "")
    assert "TURNGATE_TOKEN" in done.stderr


def test_one_message_sent_a_hundred_times_is_one_turn(shell: Shell) -> None:
    """On one connection and on many, before and after the process was killed."""
    body = {"text": "pay once", "peer_id": "replayed", "idempotency_key": "k-1"}
    seen = set()
    for _ in range(2):
        with gateway(shell) as operator:
            seen |= {operator.call("turns.start", **body)["turn_id"] for _ in range(40)}
            for _ in range(10):
                again = Caller(operator.url, operator.token)
                seen.add(again.call("turns.start", **body)["turn_id"])
                again.close()
            assert len(operator.call("turns.list")["turns"]) == 1
    assert len(seen) == 1


def test_a_revoked_token_is_over_in_the_middle_of_a_turn(shell: Shell) -> None:
    """Its socket is closed while the model is silent, and nothing opens another."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        model = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with gateway(shell, TURNGATE_MODEL="", LLM_BASE_URL=model, LLM_MODEL="silent") as operator:
            made = operator.call("tokens.create", name="ann", scopes=["read", "chat"])
            ann = Caller(operator.url, made["token"])
            address = operator.url.replace("http", "ws", 1) + "/ws"
            with connect(address, additional_headers=ann.headers, proxy=None) as sock:
                request = {"jsonrpc": "2.0", "id": 1, "method": "send", "params": {"text": "hi"}}
                sock.send(json.dumps(request))
                while not operator.call("turns.list")["turns"]:
                    pass
                operator.call("tokens.revoke", name="ann")
                with pytest.raises(ConnectionClosed):
                    sock.recv(timeout=PATIENCE_S)
                assert sock.close_code == 1008
            assert ann.post("status", {})["error"]["data"]["kind"] == "unauthenticated"
            ann.close()


def test_wrong_tokens_lock_nobody_out(shell: Shell) -> None:
    """Somebody at the same address guesses; who has a token comes in by every door."""
    with gateway(shell) as operator:
        made = operator.call("tokens.create", name="ann", scopes=["read", "chat"])
        stranger = Caller(operator.url, "guess-0123456789-abcdefghijk")
        kinds = [stranger.post("status", {})["error"]["data"]["kind"] for _ in range(60)]
        stranger.close()
        assert set(kinds) == {"unauthenticated", "rate_limited"}
        address = operator.url.replace("http", "ws", 1) + "/ws"
        for token in (operator.token, made["token"]):
            caller = Caller(operator.url, token)
            assert caller.call("status")["running"]
            caller.close()
            with connect(address, proxy=None) as sock:
                params = {"token": token}
                request = {"jsonrpc": "2.0", "id": 1, "method": "connect", "params": params}
                sock.send(json.dumps(request))
                assert "result" in json.loads(sock.recv(timeout=PATIENCE_S))


def string_fields() -> list[tuple[str, str, list[str]]]:
    """Every method with each parameter that may be a text, and those it cannot do without."""
    found = []
    for method in METHODS:
        fields = method.params.model_fields
        required = [name for name, field in fields.items() if field.is_required()]
        found += [(method.name, field.alias or name, required) for name, field in fields.items()]
    return found


def test_no_text_becomes_a_statement(shell: Shell) -> None:
    """Through every parameter of every method, and through the header."""
    with gateway(shell) as operator:
        operator.call("send", text="still here?", peer_id="kept")
        for text in SQL:
            stranger = Caller(operator.url, text)
            assert stranger.post("status", {})["error"]["data"]["kind"] == "unauthenticated"
            stranger.close()
            for method, name, required in string_fields():
                answer = operator.post(method, {**dict.fromkeys(required, text), name: text})
                kind = answer.get("error", {}).get("data", {}).get("kind", "")
                assert kind not in ("internal", "store_unavailable"), (method, name, answer)
        kept = operator.call("turns.list", limit=100)["turns"]
        assert any("kept" in turn["session_key"] for turn in kept)


def test_no_secret_of_the_settings_is_kept_or_shown(shell: Shell) -> None:
    """The model server repeats the key in its refusal, as some do; the log says all it can."""
    echo = json.dumps({"error": {"message": f"{KEY} opens nothing here"}}).encode()
    with canned(echo, status=401) as server:
        model = {"LLM_BASE_URL": server.base_url, "LLM_MODEL": "m", "LLM_API_KEY": KEY}
        environment = {"TURNGATE_MODEL": "", "TURNGATE_TOKEN": TOKEN, **model}
        with shell.up("--log-level", "debug", **environment) as (process, url):
            operator = Caller(url, TOKEN)
            answer = operator.call("send", text="hello")
            said = [answer, operator.post("status", {"token": TOKEN})]
            run = {"run_id": operator.call("runs.list")["runs"][0]["run_id"]}
            said += [operator.call(name, **run) for name in ("runs.steps", "runs.export")]
            turn = {"turn_id": answer["turn_id"]}
            said += [operator.call(name, **turn) for name in ("turns.get", "turns.explain")]
            lists = ("events.list", "deliveries.list", "profiles.list", "models.list")
            said.extend(map(operator.call, lists))
            said.append(operator.metrics())
            for words in ("config show", "config explain LLM_API_KEY", "doctor --online"):
                done = shell.run(*words.split(), **environment)
                said.append(done.stdout + done.stderr)
            operator.close()
            process.send_signal(signal.SIGTERM)
            said.extend(process.communicate(timeout=PATIENCE_S))
    assert server.asked
    assert {asked for _, asked in server.asked} == {f"Bearer {KEY}"}
    assert answer["kind"] == "auth"
    kept = [path for path in shell.folder.rglob("*") if path.is_file() and path.name != "token"]
    said.extend(path.read_bytes().decode("latin-1") for path in kept)
    assert any(path.name == "turngate.db" for path in kept)
    told = [json.dumps(each) for each in said]
    assert not [each for each in told if KEY in each or TOKEN in each]
