"""Sockets, certificates, and what is too open to start."""

import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.http.listening import (
    Listen,
    check_open_bind,
    open_sockets,
    tls_context,
    url_of,
)

only_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere 127.0.0.1 is the only address of loopback"
)


@only_linux
def test_port_zero_picks_one_and_several_addresses_share_it() -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(s) for s in open_sockets(["127.0.0.1", "127.0.0.2"], 0)]
        ports = {sock.getsockname()[1] for sock in sockets}
        assert len(sockets) == 2
        assert len(ports) == 1
        assert 0 not in ports
        assert url_of("http", sockets) == f"http://127.0.0.1:{ports.pop()}"


def test_what_is_accepted_sends_small_messages_at_once() -> None:
    """asyncio turns Nagle's algorithm off only where the protocol number says TCP."""
    with open_sockets(["127.0.0.1"], 0)[0] as listener:
        assert listener.proto == socket.IPPROTO_TCP
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_a_name_is_resolved_and_an_address_is_not_bound_twice() -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(s) for s in open_sockets(["localhost", "127.0.0.1"], 0)]
        addresses = [sock.getsockname()[0] for sock in sockets]
        assert "127.0.0.1" in addresses
        assert len(addresses) == len(set(addresses))


def test_a_taken_port_says_which_and_what_to_set() -> None:
    with open_sockets(["127.0.0.1"], 0)[0] as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is taken.*TURNGATE_PORT"):
            open_sockets(["127.0.0.1"], port)


def test_an_address_of_elsewhere_is_refused_and_nothing_stays_open() -> None:
    with pytest.raises(ConfigError, match="TURNGATE_HOST"):
        open_sockets(["127.0.0.1", "192.0.2.1"], 0)
    with pytest.raises(ConfigError, match="TURNGATE_HOST"):
        open_sockets(["no such name"], 0)


@only_linux
@pytest.mark.parametrize(
    ("address", "url"), [("0.0.0.0", "https://127.0.0.1:"), ("127.0.0.3", "https://127.0.0.3:")]
)
def test_the_url_is_one_that_this_machine_can_reach(address: str, url: str) -> None:
    with open_sockets([address], 0)[0] as sock:
        assert url_of("https", [sock]).startswith(url)


def test_without_a_certificate_there_is_no_tls() -> None:
    assert tls_context(Listen()) is None
    assert Listen().scheme == "http"
    assert Listen(tls_cert=Path("x")).scheme == "https"


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TURNGATE_TLS_CERT is not"):
        tls_context(Listen(tls_key=tmp_path / "key.pem"))
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        tls_context(Listen(tls_cert=tmp_path / "missing.pem"))
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate", "ascii")
    with pytest.raises(ConfigError, match=r"broken\.pem: one of them is not PEM"):
        tls_context(Listen(tls_cert=broken))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_this_machine_alone_needs_no_further_care(host: str) -> None:
    assert check_open_bind(Listen(hosts=(host,)), token_was_set=False) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gw.lan", ""])
def test_others_may_connect_only_with_a_chosen_credential(host: str) -> None:
    listen = Listen(hosts=("127.0.0.1", host))
    with pytest.raises(ConfigError, match="TURNGATE_TOKEN"):
        check_open_bind(listen, token_was_set=False)
    warning = check_open_bind(listen, token_was_set=True)
    assert warning is not None
    assert "without TLS" in warning


def test_tls_or_a_proxy_is_care_enough() -> None:
    tls = Listen(hosts=("0.0.0.0",), tls_cert=Path("cert.pem"))
    proxy = Listen(hosts=("0.0.0.0",), trusted_proxies=("10.0.0.1",))
    assert check_open_bind(tls, token_was_set=True) is None
    assert check_open_bind(proxy, token_was_set=True) is None
