"""What the operations page says of TLS, of proxies and of stopping, tried with real clients."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.clients.running import (
    HANGS_S,
    Gateway,
    curl,
    gateway_in,
    posting,
    read_line,
    run,
    running_script,
)
from tests.support.certificates import self_signed
from tests.support.machine import needs
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.timeout(HANGS_S)  # a gateway and clients are started

NAME = "gate.example"
STATUS = '{"jsonrpc":"2.0","id":1,"method":"status"}'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For `localhost` and 127.0.0.1, signed by itself; with its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@needs("curl", "openssl")
def test_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """curl checks the certificate, and `turngate` finds the address by itself."""
    cert, key = map(str, certificate)
    settings = {"TURNGATE_TLS_CERT": cert, "TURNGATE_TLS_KEY": key, "SSL_CERT_FILE": cert}
    with gateway_in(tmp_path, **settings) as gateway:
        assert gateway.url.startswith("https://127.0.0.1:")
        answer = curl(gateway, "/rpc", "--cacert", cert, *posting(gateway, STATUS))
        assert json.loads(answer)["result"]["running"] is True
        shown = run(["turngate", "send", "--home", str(gateway.home), "hey you"], **settings)
        assert shown.startswith("Hello!")


def test_behind_a_proxy(tmp_path: Path) -> None:
    """Its name is answered to, and the address it passes on is believed; HTTP and WebSocket."""
    settings = {
        "TURNGATE_ALLOWED_HOSTS": NAME,
        "TURNGATE_TRUSTED_PROXIES": "127.0.0.1",
        "TURNGATE_LOG_LEVEL": "info",
    }
    with (
        gateway_in(tmp_path, **settings) as gateway,
        running_script("proxy.mjs", gateway.url) as proxy,
    ):
        port = int(read_line(proxy))
        bearer = {"Authorization": f"Bearer {gateway.token}"}
        forwarded = {"Host": NAME, "X-Forwarded-For": "203.0.113.7"}
        with httpx.Client(headers=bearer | forwarded, trust_env=False) as http:
            said = http.post(f"http://127.0.0.1:{port}/rpc", json=json.loads(STATUS))
        assert said.json()["result"]["running"] is True
        [request] = gateway.logged("http.request", path="/rpc")
        assert request["address"] == "203.0.113.7"
        with (
            socket.create_connection(("127.0.0.1", port)) as sock,
            connect(f"ws://{NAME}/ws", sock=sock, additional_headers=bearer) as client,
        ):
            client.send(STATUS)
            assert json.loads(client.recv(PATIENCE_S))["result"]["running"] is True


def test_a_stop_is_clean(own_gateway: Gateway) -> None:
    """Exit code 0, and the file that leads commands to it is gone."""
    assert json.loads((own_gateway.home / "gateway.json").read_text())["url"] == own_gateway.url
    assert own_gateway.stop() == 0
    assert not (own_gateway.home / "gateway.json").exists()


def test_an_open_bind_needs_a_chosen_token(tmp_path: Path) -> None:
    """It does not start, and says what to do."""
    said = run(["bash", "-c", f"cd {tmp_path} && turngate up --host 0.0.0.0 2>&1; echo $?"])
    *sentence, code = said.splitlines()
    assert code == "78"
    assert "set TURNGATE_TOKEN" in sentence[0]
