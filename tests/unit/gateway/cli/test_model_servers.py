"""A server of models is asked once, briefly, and believed only as far as it goes."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from pathlib import Path

import pytest

from gateway.cli.model_servers import LOCAL, Way, find_local, list_models, other_bases
from tests.support.canned import canned
from tests.support.certificates import self_signed
from tests.support.patience import PATIENCE_S

MODELS = json.dumps({"data": [{"id": "a"}, {"id": "b"}]}).encode()


async def test_models_are_listed_and_the_key_is_sent() -> None:
    with canned(MODELS) as server:
        listing = await list_models(server.base_url, "sk-1", within_s=PATIENCE_S)
    assert listing.usable
    assert listing.models == ("a", "b")
    assert server.asked == [("/v1/models", "Bearer sk-1")]


async def test_without_a_key_no_header_is_sent() -> None:
    with canned(MODELS) as server:
        await list_models(server.base_url, within_s=PATIENCE_S)
    assert server.asked == [("/v1/models", "")]


async def test_a_refusal_is_told_by_its_status() -> None:
    with canned(b"{}", status=401) as server:
        listing = await list_models(server.base_url, "sk-1", within_s=PATIENCE_S)
    assert listing.status == 401
    assert not listing.usable


async def test_a_redirect_is_not_followed() -> None:
    """The key would arrive at an address nobody has named."""
    with canned(MODELS) as other, canned(b"", status=302, location=other.base_url) as server:
        listing = await list_models(server.base_url, "sk-1", within_s=PATIENCE_S)
    assert listing.status == 302
    assert not other.asked


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": 3}', b'{"data": [{}]}', b'"x"'])
async def test_what_is_no_list_is_said(body: bytes) -> None:
    with canned(body) as server:
        listing = await list_models(server.base_url, within_s=PATIENCE_S)
    assert listing.problem == "the answer is no list of models"


@pytest.mark.parametrize(
    ("base", "others"),
    [
        ("http://h:1", ["http://h:1/v1"]),
        ("http://h:1/", ["http://h:1/v1"]),
        ("http://h/api", ["http://h/api/v1"]),
        ("http://h/v1", []),
        ("http://h/v1beta", []),
        ("http://h/v1/chat/completions", ["http://h/v1"]),
        ("http://h/models", ["http://h/v1", "http://h"]),
    ],
)
def test_bases_that_were_probably_meant(base: str, others: list[str]) -> None:
    """All on the same server: the key goes nowhere else."""
    assert other_bases(base) == others


async def test_where_nobody_listens_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    listing = await list_models(f"http://127.0.0.1:{port}/v1", within_s=PATIENCE_S)
    assert listing.problem
    assert not listing.usable


async def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        listing = await list_models(f"http://127.0.0.1:{port}/v1", within_s=0.05)
    assert "no answer" in listing.problem or "Timeout" in listing.problem


async def test_servers_on_this_machine_are_found_and_others_left_out() -> None:
    with canned(MODELS) as server, canned(b"<html>") as page:
        found = await find_local([server.port, page.port])
    assert [listing.base_url for listing in found] == [server.base_url]
    assert server.asked == [("/v1/models", "")]


def test_only_named_ports_are_looked_at() -> None:
    assert 8765 not in LOCAL
    assert len(LOCAL) <= 8


async def test_an_authority_of_ones_own_is_trusted_when_it_is_named(tmp_path: Path) -> None:
    cert, key = await asyncio.to_thread(self_signed, tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    server = await asyncio.start_server(_list_one, "127.0.0.1", 0, ssl=tls)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        unnamed = await list_models(url, within_s=4)
        named = await list_models(url, within_s=4, way=Way((cert,)))
    assert not unnamed.usable
    assert "self-signed" in unnamed.distrusted
    assert named.models == ("m",)


async def _list_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = b'{"data":[{"id":"m"}]}'
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()
