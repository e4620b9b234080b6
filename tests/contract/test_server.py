"""What any client finds behind the one port: routes, answers, probes, beginning and end."""

import asyncio
import json
import os
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.http.listening import Listen
from gateway.http.server import Stopping
from tests.security.surface import Running, running, until
from tests.support.certificates import self_signed
from tests.support.credentials import CHAT_TOKEN, OPERATOR_TOKEN, READ_TOKEN
from tests.support.machine import needs
from tests.support.patience import PATIENCE_S


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as started:
        yield started


@pytest.fixture
async def http(gateway: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        yield client


def bearer(token: str = OPERATOR_TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def call(method: str, id: int = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


async def ask(socket: ClientConnection, method: str, **params: Any) -> Any:
    await socket.send(json.dumps(call(method, **params)))
    return json.loads(await socket.recv())


# --- POST /rpc -----------------------------------------------------------------------------------


async def test_a_request_over_http_is_answered(gateway: Running, http: httpx.AsyncClient) -> None:
    answer = await http.post("/rpc", json=call("echo", text="hé"), headers=bearer())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": {"text": "hé"}}


async def test_a_notification_over_http_is_answered_by_silence(http: httpx.AsyncClient) -> None:
    message = {"jsonrpc": "2.0", "method": "echo"}
    answer = await http.post("/rpc", json=message, headers=bearer())
    assert (answer.status_code, answer.content) == (204, b"")


async def test_one_connection_serves_many_requests(http: httpx.AsyncClient) -> None:
    for number in range(5):
        answer = await http.post("/rpc", json=call("echo", n=number), headers=bearer())
        assert answer.json()["result"] == {"n": number}


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({}, 401, "unauthenticated"),
        ({"Authorization": "Basic YTpi"}, 401, "unauthenticated"),
        (bearer("nobody"), 401, "unauthenticated"),
        (bearer(OPERATOR_TOKEN) | {"Content-Type": "text/plain"}, 415, "invalid"),
        (bearer(OPERATOR_TOKEN) | {"Content-Type": "application/jsonp"}, 415, "invalid"),
    ],
)
async def test_what_is_refused_over_http_has_a_status_and_a_kind(
    gateway: Running, http: httpx.AsyncClient, headers: dict[str, str], status: int, kind: str
) -> None:
    kind_of_body = {"Content-Type": "application/json; charset=utf-8"}
    answer = await http.post(
        "/rpc", content=json.dumps(call("echo")), headers=kind_of_body | headers
    )
    assert answer.status_code == status
    assert answer.json()["error"]["data"]["kind"] == kind
    assert not gateway.rpc.frames


async def test_leaving_ends_the_wait_over_http(gateway: Running) -> None:
    """Only the wait ends; what was accepted goes on, which is the business of RPC."""
    brief = httpx.Timeout(PATIENCE_S, read=0.2)
    with pytest.raises(httpx.ReadTimeout):
        async with httpx.AsyncClient(timeout=brief, trust_env=False) as impatient:
            await impatient.post(f"{gateway.url}/rpc", json=call("wait"), headers=bearer())
    await until(lambda: all("http.answer" not in t.get_name() for t in asyncio.all_tasks()))


async def test_a_bug_is_answered_with_an_id_and_nothing_else(
    gateway: Running, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/rpc", json=call("fail", text="at /etc/secret"), headers=bearer())
    assert answer.status_code == 500
    assert answer.json()["error"]["data"]["kind"] == "internal"
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text


# --- /ws -----------------------------------------------------------------------------------------


async def test_a_socket_with_the_header_needs_no_connect(gateway: Running) -> None:
    async with connect(gateway.ws_url, additional_headers=bearer(CHAT_TOKEN)) as socket:
        answer = await ask(socket, "whoami")
    assert answer["result"] == {"principal": "ann", "address": "127.0.0.1"}


async def test_a_socket_may_authenticate_by_its_first_message(gateway: Running) -> None:
    async with connect(gateway.ws_url) as socket:
        assert (await ask(socket, "whoami"))["error"]["data"]["kind"] == "unauthenticated"
        await ask(socket, "connect", token=OPERATOR_TOKEN)
        assert (await ask(socket, "whoami"))["result"]["principal"] == "operator"


async def test_a_socket_with_a_wrong_header_is_not_opened(gateway: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(gateway.ws_url, additional_headers=bearer("nobody"))
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["data"]["kind"] == "unauthenticated"
    assert not gateway.rpc.connections


@pytest.mark.parametrize("path", ["/", "/rpc", "/socket"])
async def test_a_socket_to_another_path_learns_the_right_one(gateway: Running, path: str) -> None:
    """A handshake is refused by an HTTP answer with a body, and every client shows it."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(gateway.ws_url.removesuffix("/ws") + path, additional_headers=bearer())
    assert refused.value.response.status_code == 404
    error = json.loads(refused.value.response.body)["error"]
    assert error["data"]["kind"] == "not_found"
    assert error["message"] == f"a WebSocket opens at /ws, not at {path!r}"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "said"),
    [
        ("POST", "/rcp", 404, "not_found", "did you mean '/rpc'?"),
        ("GET", "/", 200, "", ""),
        ("GET", "/rpc", 405, "invalid", "/rpc answers to POST"),
        ("PUT", "/healthz", 405, "invalid", "/healthz answers to GET, HEAD"),
        ("GET", "/ws", 426, "invalid", "/ws is for WebSockets"),
    ],
)
async def test_a_wrong_path_or_method_has_a_typed_answer(
    http: httpx.AsyncClient, method: str, path: str, status: int, kind: str, said: str
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    if kind:
        assert answer.json()["error"]["data"]["kind"] == kind
        assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_what_no_application_answers_has_a_typed_answer_too(
    gateway: Running, sent: bytes
) -> None:
    """A broken handshake and what is no HTTP are refused below the routes."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent.replace(b"{host}", f"{host}:{port}".encode()))
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in head.lower()
    assert json.loads(body)["error"]["data"]["kind"] == "invalid"
    writer.close()


async def test_binary_messages_are_read_and_answered_as_text(gateway: Running) -> None:
    async with connect(gateway.ws_url, additional_headers=bearer()) as socket:
        await socket.send(json.dumps(call("echo", a=1)).encode())
        assert isinstance(await socket.recv(), str)


async def test_a_message_in_pieces_is_put_together(gateway: Running) -> None:
    async with connect(gateway.ws_url, additional_headers=bearer()) as socket:
        text = json.dumps(call("echo", text="ü" * 500), ensure_ascii=False)
        await socket.send([text[:10], text[10:300], text[300:]])
        assert json.loads(await socket.recv())["result"] == {"text": "ü" * 500}


async def test_a_thousand_requests_in_flight_are_all_answered(gateway: Running) -> None:
    async with connect(gateway.ws_url, additional_headers=bearer()) as socket:
        for number in range(1000):
            await socket.send(json.dumps(call("echo", id=number)))
        ids = {json.loads(await socket.recv())["id"] for _ in range(1000)}
    assert ids == set(range(1000))


async def test_a_revoked_credential_closes_its_sockets_and_no_others(gateway: Running) -> None:
    async with (
        connect(gateway.ws_url, additional_headers=bearer(CHAT_TOKEN)) as ann,
        connect(gateway.ws_url, additional_headers=bearer(OPERATOR_TOKEN)) as operator,
    ):
        await ask(ann, "whoami")
        gateway.credentials.revoke(CHAT_TOKEN)
        with pytest.raises(ConnectionClosed) as closed:
            await ann.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
            1008,
            "the credential was revoked",
        )
        assert (await ask(operator, "whoami"))["result"]["principal"] == "operator"


# --- probes and pages ----------------------------------------------------------------------------


async def test_the_landing_page_is_static_and_says_how_to_connect(
    gateway: Running, http: httpx.AsyncClient
) -> None:
    page = await http.get("/")
    assert page.status_code == 200
    assert f"{gateway.ws_url}" in page.text
    assert "<script" not in page.text
    for word in ("wscat", "curl", "websockets.sync.client", "TURNGATE_TOKEN"):
        assert word in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]


async def test_every_answer_carries_the_security_headers(http: httpx.AsyncClient) -> None:
    for answer in (
        await http.get("/"),
        await http.get("/healthz"),
        await http.get("/nowhere"),
        await http.get("/rpc"),
        await http.post("/rpc"),
        await http.get("/", headers={"Host": "evil.test"}),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


async def test_healthz_asks_the_store_once_a_second_at_most(
    gateway: Running, http: httpx.AsyncClient
) -> None:
    """Anybody may ask, and an answer costs a write."""
    answers = [await http.get("/healthz") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert gateway.store.asked == 1


async def test_healthz_fails_when_the_store_cannot_be_written(
    gateway: Running, http: httpx.AsyncClient
) -> None:
    gateway.store.writable = False
    answer = await http.get("/healthz")
    assert answer.status_code == 503


async def test_readyz_follows_the_health_of_the_gateway(
    gateway: Running, http: httpx.AsyncClient
) -> None:
    assert (await http.get("/readyz")).json() == {"status": "ready"}
    gateway.health.drain()
    assert (await http.get("/readyz")).status_code == 503


async def test_metrics_need_a_token_that_may_read(
    gateway: Running, http: httpx.AsyncClient
) -> None:
    assert (await http.get("/metrics")).status_code == 401
    assert (await http.get("/metrics", headers=bearer(CHAT_TOKEN))).status_code == 403
    page = await http.get("/metrics", headers=bearer(READ_TOKEN))
    assert page.status_code == 200
    assert 'turngate_health{state="ready"} 1.0' in page.text
    assert 'turngate_health_reasons{reason="disk_low"} 0.0' in page.text


async def test_an_open_socket_is_counted_and_a_closed_one_is_not(gateway: Running) -> None:
    async with connect(gateway.ws_url, additional_headers=bearer()) as socket:
        await ask(socket, "whoami")
        assert gateway.count("turngate_connections", transport="websocket") == 1
        assert gateway.count("turngate_connections", transport="http") == 0
    await until(lambda: gateway.server.clients == 0)
    assert gateway.count("turngate_connections", transport="websocket") == 0
    assert gateway.rpc.closed == 1


# --- tickets -------------------------------------------------------------------------------------


async def test_a_ticket_opens_one_socket_from_the_page_that_fetched_it(
    gateway: Running, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/ticket", headers=bearer(CHAT_TOKEN) | {"Origin": gateway.url})
    ticket = answer.json()["ticket"]
    url = f"{gateway.ws_url}?ticket={ticket}"
    async with connect(url, additional_headers={"Origin": gateway.url}) as socket:
        assert (await ask(socket, "whoami"))["result"]["principal"] == "ann"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers={"Origin": gateway.url})
    assert refused.value.response.status_code == 401


async def test_a_ticket_is_of_no_use_to_another_page(
    gateway: Running, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/ticket", headers=bearer() | {"Origin": gateway.url})
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{gateway.ws_url}?ticket={answer.json()['ticket']}")
    assert refused.value.response.status_code == 401


async def test_a_ticket_needs_a_token(http: httpx.AsyncClient) -> None:
    assert (await http.post("/ticket")).status_code == 401
    assert (await http.get("/ticket", headers=bearer())).status_code == 405


# --- beginning and end ---------------------------------------------------------------------------


async def test_the_file_says_where_it_listens_until_it_stops(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        file = tmp_path / "gateway.json"
        assert json.loads(file.read_text("utf-8")) == {"url": gateway.url, "pid": os.getpid()}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.exists()


async def test_a_stopping_server_says_come_back(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        socket = await connect(gateway.ws_url, additional_headers=bearer())
        await ask(socket, "whoami")
    with pytest.raises(ConnectionClosed) as closed:
        await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


@needs("openssl")
async def test_it_speaks_tls_with_a_certificate(tmp_path: Path) -> None:
    cert, key = await asyncio.to_thread(self_signed, tmp_path)
    trust = ssl.create_default_context(cafile=str(cert))
    listen = Listen(port=0, tls_cert=cert, tls_key=key)
    steps = Stopping(goodbye_s=1.0)
    async with running(tmp_path, listen=listen, stopping=steps) as gateway:
        assert gateway.url.startswith("https://")
        async with httpx.AsyncClient(verify=trust, trust_env=False) as http:
            answer = await http.post(f"{gateway.url}/rpc", json=call("echo"), headers=bearer())
            assert answer.status_code == 200
        async with connect(
            gateway.ws_url, ssl=trust, additional_headers=bearer() | {"Origin": gateway.url}
        ) as socket:
            assert (await ask(socket, "whoami"))["result"]["principal"] == "operator"
            await socket.send("x" * 2_000_000)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
