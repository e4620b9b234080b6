"""Pages of strangers: they reach this port through a visitor's browser and must get nothing.

Cross-site WebSocket hijacking, DNS rebinding, forged forms, and headers that claim another peer.
"""

import json
from pathlib import Path

import pytest
import structlog

from gateway.http.listening import Listen
from tests.security.raw import peer
from tests.security.surface import Running, running
from tests.support.credentials import OPERATOR_TOKEN

AUTH = ("Authorization", f"Bearer {OPERATOR_TOKEN}")
CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "whoami"}).encode()


def post(path: str, *headers: tuple[str, str]) -> tuple[str, list[tuple[str, str]], bytes]:
    return (
        f"POST {path}",
        [("Content-Type", "application/json"), ("Content-Length", str(len(CALL))), AUTH, *headers],
        CALL,
    )


# --- Origin --------------------------------------------------------------------------------------

FOREIGN = [
    "http://evil.test",
    "https://evil.test",
    "null",
    "",
    "http://localhost.evil.test:{port}",
    "http://127.0.0.1.evil.test:{port}",
    "http://evil-localhost:{port}",
    "http://localhost:{other}",
    "http://127.0.0.1",
    "https://127.0.0.1:{port}",
    "HTTP://127.0.0.1:{port}",
    "http://LOCALHOST:{port}",
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@evil.test",
    "http://user@127.0.0.1:{port}",
    " http://127.0.0.1:{port} x",
    "http://127.0.0.1:{port}, http://evil.test",
    "file://",
    "chrome-extension://abc",
]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_page_opens_no_socket(gateway: Running, origin: str) -> None:
    """Even with a valid token: the browser may have been talked into sending one."""
    origin = origin.format(port=gateway.port, other=gateway.port + 1)
    async with peer(gateway.port) as page:
        page.open_socket(gateway.netloc, ("Origin", origin), AUTH)
        answer = await page.answer()
    assert answer.status == 403
    assert not gateway.rpc.connections
    assert gateway.credentials.asked == 0


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_page_calls_no_method(gateway: Running, origin: str) -> None:
    origin = origin.format(port=gateway.port, other=gateway.port + 1)
    async with peer(gateway.port) as page:
        page.request(*post("/rpc", ("Host", gateway.netloc), ("Origin", origin)))
        assert (await page.answer()).status == 403
    assert not gateway.rpc.frames
    assert gateway.credentials.asked == 0


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((("Origin", "https://evil.test"),), "origin"),
        ((("Host", "evil.test"),), "host"),
        ((("Authorization", "Bearer wrong"),), "unauthenticated"),
        ((("Sec-WebSocket-Protocol", "@"),), "invalid Sec-WebSocket-Protocol header"),
    ],
)
async def test_a_refused_handshake_is_one_line_with_its_reason(
    gateway: Running,
    headers: tuple[tuple[str, str], ...],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No error: anybody can make us refuse, and a log full of them hides what matters."""
    with structlog.testing.capture_logs() as lines:
        async with peer(gateway.port) as page:
            page.open_socket(gateway.netloc, *headers)
            await page.answer()
            await page.gone()
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("socket.refused", "info")
    assert line["reason"].startswith(reason)
    assert not [record for record in caplog.records if record.name.startswith("turngate")]


async def test_two_origins_are_none_of_ours(gateway: Running) -> None:
    async with peer(gateway.port) as page:
        page.open_socket(gateway.netloc, ("Origin", gateway.url), ("Origin", "http://evil.test"))
        assert (await page.answer()).status == 403
    async with peer(gateway.port) as page:
        page.open_socket(gateway.netloc, ("Origin", gateway.url), ("Origin", gateway.url))
        assert (await page.answer()).status == 403


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
async def test_our_own_pages_are_let_in(gateway: Running, name: str) -> None:
    netloc = f"{name}:{gateway.port}"
    async with peer(gateway.port) as page:
        await page.opened(netloc, ("Origin", f"http://{netloc}"), AUTH)


async def test_a_client_that_is_no_browser_has_no_origin(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)


async def test_an_origin_of_the_settings_is_let_in_cross_site(tmp_path: Path) -> None:
    listen = Listen(port=0, allowed_origins=("https://console.example",))
    headers = [("Origin", "https://console.example"), ("Sec-Fetch-Site", "cross-site")]
    async with running(tmp_path, listen=listen) as gateway:
        async with peer(gateway.port) as page:
            await page.opened(gateway.netloc, AUTH, *headers)
        async with peer(gateway.port) as page:
            page.request(*post("/rpc", ("Host", gateway.netloc), *headers))
            assert (await page.answer()).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/rpc", "/ticket"])
async def test_a_forged_form_is_refused_when_only_the_fetch_metadata_tells(
    gateway: Running, site: str, path: str
) -> None:
    async with peer(gateway.port) as page:
        page.request(*post(path, ("Host", gateway.netloc), ("Sec-Fetch-Site", site)))
        assert (await page.answer()).status == 403
    assert gateway.credentials.asked == 0


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
async def test_what_a_form_can_send_is_no_call(gateway: Running, kind: str) -> None:
    async with peer(gateway.port) as page:
        line, headers, body = post("/rpc", ("Host", gateway.netloc))
        page.request(line, [("Content-Type", kind), *headers[1:]], body)
        assert (await page.answer()).status == 415
    assert not gateway.rpc.frames


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_nothing_is_called_by_another_method_than_post(gateway: Running, method: str) -> None:
    async with peer(gateway.port) as page:
        page.request(f"{method} /rpc", [("Host", gateway.netloc), AUTH])
        assert (await page.reader.readline()).split()[1] in (b"403", b"405")
    assert not gateway.rpc.frames


# --- Host ----------------------------------------------------------------------------------------

REBOUND = [
    "evil.test",
    "evil.test:{port}",
    "127.0.0.1:{port}@evil.test",
    "evil.test@127.0.0.1:{port}",
    "localhost.:{port}",
    "127.0.0.1.:{port}",
    "localhost.evil.test:{port}",
    "127.0.0.1.nip.io:{port}",
    "localhost",
    "127.0.0.1",
    "localhost:{other}",
    "localhost:0{port}0",
    "localhost:{port}, evil.test",
    "0.0.0.0:{port}",
    "127.1:{port}",
    "2130706433:{port}",
    "0x7f.1:{port}",
    "[::1",
    "::1:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "[::1%25lo]:{port}",
    "[::2]:{port}",
    "",
    ":{port}",
]


@pytest.mark.parametrize("host", REBOUND)
@pytest.mark.parametrize("path", ["/", "/healthz", "/rpc", "/ws"])
async def test_a_name_that_is_not_ours_gets_nothing(gateway: Running, host: str, path: str) -> None:
    """A stranger's name that points here is how his page becomes ours to the browser."""
    host = host.format(port=gateway.port, other=gateway.port + 1)
    async with peer(gateway.port) as page:
        if path == "/ws":
            page.open_socket(gateway.netloc, ("Host", host), AUTH)
        elif path == "/rpc":
            page.request(*post(path, ("Host", host)))
        else:
            page.request(f"GET {path}", [("Host", host)])
        assert (await page.answer()).status in (400, 421)
    assert not gateway.rpc.frames
    assert not gateway.rpc.connections
    assert gateway.credentials.asked == 0


async def test_a_missing_or_second_host_gets_nothing(gateway: Running) -> None:
    for headers in (
        [],
        [("Host", gateway.netloc), ("Host", gateway.netloc)],
        [("Host", gateway.netloc), ("Host", "evil.test")],
    ):
        async with peer(gateway.port) as page:
            page.request("GET /healthz", headers)
            assert (await page.answer()).status in (400, 421)
    async with peer(gateway.port) as page:
        page.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (await page.answer()).status == 421


@pytest.mark.parametrize("name", ["LOCALHOST", "LocalHost", "[0:0:0:0:0:0:0:1]", "127.0.0.1"])
async def test_names_are_compared_as_names(gateway: Running, name: str) -> None:
    """Case and the spelling of an address do not matter in a name; a browser may write either."""
    async with peer(gateway.port) as page:
        page.request("GET /healthz", [("Host", f"{name}:{gateway.port}")])
        assert (await page.answer()).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("gw.example", 200),
        ("GW.example:443", 200),
        ("gw.example:{port}", 200),
        ("gw.example:81", 421),
        ("named.example:9000", 200),
        ("named.example", 421),
        ("sub.gw.example", 421),
    ],
)
async def test_names_of_the_settings_are_ours(tmp_path: Path, host: str, status: int) -> None:
    listen = Listen(port=0, allowed_hosts=("gw.example", "named.example:9000"))
    async with running(tmp_path, listen=listen) as gateway, peer(gateway.port) as page:
        page.request("GET /healthz", [("Host", host.format(port=gateway.port))])
        assert (await page.answer()).status == status


async def test_a_page_behind_a_proxy_may_call_by_the_name_of_the_settings(tmp_path: Path) -> None:
    """The proxy ends TLS, so the page is https although we are not."""
    listen = Listen(port=0, allowed_hosts=("gw.example",))
    async with running(tmp_path, listen=listen) as gateway, peer(gateway.port) as page:
        await page.opened("gw.example", ("Origin", "https://gw.example"), AUTH)


async def test_an_absolute_target_does_not_replace_the_host(gateway: Running) -> None:
    async with peer(gateway.port) as page:
        page.request(f"GET {gateway.url}/healthz", [("Host", "evil.test")])
        assert (await page.answer()).status == 421
    async with peer(gateway.port) as page:
        page.request("GET http://evil.test/healthz", [("Host", gateway.netloc)])
        assert (await page.answer()).status == 404


# --- who claims to be whom -----------------------------------------------------------------------

CLAIMS = [
    ("X-Forwarded-For", "10.9.8.7"),
    ("X-Forwarded-Host", "evil.test"),
    ("X-Forwarded-Proto", "https"),
    ("X-Real-IP", "10.9.8.7"),
    ("Forwarded", "for=10.9.8.7;host=evil.test"),
]


async def test_a_peer_does_not_choose_its_address(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        client.request(*post("/rpc", ("Host", gateway.netloc), *CLAIMS))
        answer = await client.answer()
    assert json.loads(answer.body)["result"]["address"] == "127.0.0.1"


async def test_a_trusted_proxy_tells_who_called_it(tmp_path: Path) -> None:
    """The last hop that no trusted proxy wrote is the client; what stands before is invented."""
    listen = Listen(port=0, trusted_proxies=("127.0.0.0/8",))
    async with running(tmp_path, listen=listen) as gateway, peer(gateway.port) as client:
        hops = ("X-Forwarded-For", "1.1.1.1, 10.9.8.7, 127.0.0.9")
        client.request(*post("/rpc", ("Host", gateway.netloc), hops))
        answer = await client.answer()
    assert json.loads(answer.body)["result"]["address"] == "10.9.8.7"


async def test_being_on_this_machine_opens_nothing(gateway: Running) -> None:
    for path in ("/rpc", "/ticket"):
        async with peer(gateway.port) as client:
            line, headers, body = post(path, ("Host", gateway.netloc))
            client.request(line, [item for item in headers if item != AUTH], body)
            assert (await client.answer()).status == 401
