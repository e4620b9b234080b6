"""Credentials under attack: in URLs, in other alphabets, guessed, used twice."""

import asyncio
import json
import logging
from io import StringIO
from pathlib import Path

import httpx
import pytest
import structlog

from gateway.telemetry import logs
from tests.security.raw import CLOSE, frame, peer
from tests.security.surface import Running, running, until
from tests.support.credentials import CHAT_TOKEN, OPERATOR_TOKEN

CALL = {"jsonrpc": "2.0", "id": 1, "method": "whoami"}


def bearer(token: str = OPERATOR_TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- in a URL ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["token", "access_token", "api_key"])
@pytest.mark.parametrize("path", ["/rpc", "/ws", "/", "/metrics", "/ticket", "/nowhere"])
async def test_a_token_in_a_url_is_refused_with_a_hint(
    gateway: Running, name: str, path: str
) -> None:
    """Even a valid one, and even beside a valid header: it must not become a habit."""
    auth = ("Authorization", f"Bearer {OPERATOR_TOKEN}")
    async with peer(gateway.port) as client:
        target = f"{path}?a=1&{name}={OPERATOR_TOKEN}"
        if path == "/ws":
            client.open_socket(gateway.netloc, auth, path=target)
        else:
            client.request(f"GET {target}", [("Host", gateway.netloc), auth])
        answer = await client.answer()
    assert answer.status == 400
    assert "POST /ticket" in answer.text
    assert OPERATOR_TOKEN not in answer.text
    assert gateway.credentials.asked == 0


@pytest.mark.parametrize("path", ["/rpc", "/metrics", "/healthz"])
async def test_a_ticket_opens_sockets_only(http: httpx.AsyncClient, path: str) -> None:
    ticket = (await http.post("/ticket", headers=bearer())).json()["ticket"]
    assert (await http.get(f"{path}?ticket={ticket}")).status_code == 400


@pytest.mark.parametrize("ticket", ["ticket-1%00", "x", "ticket-1&ticket=ticket-2", "%ff%fe"])
async def test_a_guessed_ticket_opens_nothing(gateway: Running, ticket: str) -> None:
    async with peer(gateway.port) as client:
        client.open_socket(gateway.netloc, path=f"/ws?ticket={ticket}")
        assert (await client.answer()).status == 401


# --- in any form ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer t\xc3\xb6ken",
        b"Bearer \xff\xfe\xfd",
        b"Bearer ",
        b"Bearer",
        b"Bearer  ",
        b"bearer x y z",
        b"Token " + OPERATOR_TOKEN.encode(),
        OPERATOR_TOKEN.encode(),
        b"Bearer " + OPERATOR_TOKEN.encode() + b"\xc2\xa0",
        b"Bearer " + b"x" * 8000,
        b"Bearer ' OR 1=1 --",
    ],
)
@pytest.mark.parametrize("way", ["rpc", "ws"])
async def test_what_is_no_token_is_answered_401(gateway: Running, value: bytes, way: str) -> None:
    async with peer(gateway.port) as client:
        auth = ("Authorization", value.decode("latin-1"))
        if way == "ws":
            client.open_socket(gateway.netloc, auth)
        else:
            client.request(
                "POST /rpc",
                [("Host", gateway.netloc), ("Content-Type", "application/json"), auth],
            )
        answer = await client.answer()
    assert answer.status == 401
    assert json.loads(answer.body)["error"]["data"]["kind"] == "unauthenticated"


async def test_two_credentials_are_none(gateway: Running) -> None:
    auth = ("Authorization", f"Bearer {OPERATOR_TOKEN}")
    async with peer(gateway.port) as client:
        client.open_socket(gateway.netloc, auth, ("Authorization", "Bearer x"))
        assert (await client.answer()).status == 401


async def test_a_wrong_scheme_of_letters_is_still_a_bearer(http: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"bEaReR {OPERATOR_TOKEN}"}
    assert (await http.post("/rpc", json=CALL, headers=headers)).status_code == 200


# --- guessed -------------------------------------------------------------------------------------


@pytest.mark.timeout(300)  # a connection a guess, in the loop's debug mode, perhaps beside others
@pytest.mark.parametrize("guesses", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_guesses_are_throttled_from_this_machine_too(tmp_path: Path, guesses: int) -> None:
    """Whatever else the requests carry."""
    async with running(tmp_path, failures=50) as gateway:

        async def guess(first: int) -> list[int]:
            statuses = []
            async with peer(gateway.port) as client:
                for number in range(first, first + 500):
                    client.request(
                        "GET /metrics",
                        [
                            ("Host", gateway.netloc),
                            ("Authorization", f"Bearer guess-{number}"),
                            ("X-Forwarded-For", f"10.0.{number % 250}.1"),
                        ],
                    )
                    answer = await client.answer()
                    statuses.append(answer.status)
                    if "connection: close" in answer.head.lower():
                        break
            return statuses

        seen: list[int] = []
        while len(seen) < guesses:
            seen += [
                status
                for batch in await asyncio.gather(*(guess(len(seen) + n) for n in range(50)))
                for status in batch
            ]
        assert seen.count(401) <= 50 + 50  # what was under way when the budget ended
        assert set(seen) == {401, 429}
        auth = ("Authorization", f"Bearer {OPERATOR_TOKEN}")
        for path in ("/healthz", "/metrics"):
            async with peer(gateway.port) as owner:  # at the very address the guesses come from
                owner.request(f"GET {path}", [("Host", gateway.netloc), auth])
                assert (await owner.answer()).status == 200


async def test_a_throttled_guess_is_told_when_to_try_again(tmp_path: Path) -> None:
    async with (
        running(tmp_path, failures=0) as gateway,
        httpx.AsyncClient(base_url=gateway.url, trust_env=False) as http,
    ):
        answer = await http.post("/rpc", json=CALL, headers=bearer("guess"))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["error"]["data"] == {
        "kind": "rate_limited",
        "retryable": True,
        "retry_after_ms": 1500,
    }


# --- in what others read -------------------------------------------------------------------------

CANARY = "canary-5f1e7b0c9d8a4e63"


async def test_a_secret_is_in_no_log_no_answer_and_no_page(tmp_path: Path) -> None:
    """Sent everywhere a client can put it, with every library as talkative as it can be.

    Nobody has told the log that this is a secret: it must not get there in the first place.
    """
    out = StringIO()
    logs.configure(level="debug", stream=out)
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        async with (
            running(tmp_path) as gateway,
            httpx.AsyncClient(base_url=gateway.url, trust_env=False) as http,
        ):
            said = await _say_everywhere(gateway, http)
        logged = out.getvalue()
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
        logging.getLogger().setLevel(logging.WARNING)
    assert "http.request" in logged
    # The client's own libraries log what they send, in the same process.
    ours = [line for line in logged.splitlines() if '"logger": "http' not in line]
    assert not [line for line in ours if CANARY in line and "HTTP Request" not in line]
    assert CANARY not in said


async def _say_everywhere(gateway: Running, http: httpx.AsyncClient) -> str:
    said = [
        (await http.post("/rpc", json=CALL, headers=bearer(CANARY))).text,
        (await http.post(f"/rpc?token={CANARY}", json=CALL)).text,
        (await http.get(f"/?ticket={CANARY}")).text,
        (await http.get("/", headers={"Cookie": CANARY, "Referer": CANARY})).text,
        (await http.get("/", headers={"Origin": f"http://{CANARY}"})).text,
        (await http.get("/", headers={"Host": f"{CANARY}.test"})).text,
        (await http.get("/metrics", headers=bearer())).text,
    ]
    for path in (f"/ws?ticket={CANARY}", f"/ws?token={CANARY}", f"/nowhere?ticket={CANARY}"):
        async with peer(gateway.port) as client:
            client.open_socket(gateway.netloc, path=path)
            said.append((await client.answer()).text)
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc)
        params = {"token": CANARY}
        client.send(frame(json.dumps({**CALL, "method": "connect", "params": params}).encode()))
        said.append((await client.message())[1].decode())
        client.send(frame(CANARY.encode() + b"\xff"))
        opcode, payload = await client.message()
        assert opcode == CLOSE
        said.append(payload[2:].decode())
    return "".join(said)


async def test_a_name_with_control_characters_forges_no_log_line(tmp_path: Path) -> None:
    out = StringIO()
    logs.configure(level="info", stream=out)
    try:
        async with running(tmp_path) as gateway, peer(gateway.port) as client:
            path = "/%0a%7b%22event%22:%22forged%22%7d%1b%5d0;owned%07%e2%80%ae"
            client.request(f"GET {path}", [("Host", gateway.netloc), ("X-Name", "a\x9b b")])
            assert (await client.answer()).status == 404
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
        logging.getLogger().setLevel(logging.WARNING)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert "forged" not in [line["event"] for line in lines]
    assert "\x1b" not in out.getvalue()


# --- revoked in the middle of a request ----------------------------------------------------------


async def test_what_a_revoked_credential_waits_for_over_http_is_refused(
    gateway: Running, http: httpx.AsyncClient
) -> None:
    """At once, and nobody else's."""
    call = {**CALL, "method": "wait"}
    async with asyncio.TaskGroup() as group:
        revoked = group.create_task(http.post("/rpc", json=call, headers=bearer(CHAT_TOKEN)))
        other = group.create_task(http.post("/rpc", json=call, headers=bearer()))
        await until(lambda: len(gateway.rpc.frames) == 2)
        gateway.credentials.revoke(CHAT_TOKEN)
        assert (await revoked).status_code == 401
        gateway.rpc.release.set()
        assert (await other).json()["result"] == {}


async def test_a_body_that_outlives_its_credential_is_not_looked_at(gateway: Running) -> None:
    """Otherwise a body held back would keep a credential alive."""
    body = json.dumps(CALL).encode()
    async with peer(gateway.port) as client:
        client.request(
            "POST /rpc",
            [
                ("Host", gateway.netloc),
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Authorization", f"Bearer {CHAT_TOKEN}"),
            ],
            body[:-1],
        )
        await until(lambda: gateway.credentials.asked == 1)
        gateway.credentials.revoke(CHAT_TOKEN)
        client.send(body[-1:])
        assert (await client.answer()).status == 401
    assert gateway.rpc.frames == []
