"""How clients reach the gateway, and how commands do."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from gateway.settings.section import CommaList, Section, is_address

TOKEN_FILE = "token"
"""File in the home folder that holds the operator's token."""


class NetworkSettings(Section):
    """See the module."""

    title = "Network"

    turngate_host: str = Field(
        "127.0.0.1",
        description="Address to listen on; several, separated by commas.",
        examples=["127.0.0.1,::1"],
    )
    turngate_port: int = Field(
        8765, ge=0, le=65535, description="Port; 0 picks a free one.", examples=[9000]
    )
    turngate_sockets: CommaList = Field(
        (),
        description="Numbers of sockets that a parent process has bound and passes on, instead of "
        "host and port; `up` with several processes sets it.",
        examples=["3"],
    )
    turngate_url: str = Field(
        "",
        description="Address of the gateway commands speak to; default: the one of the home.",
        examples=["http://127.0.0.1:8765"],
    )
    turngate_token: SecretStr = Field(
        SecretStr(""),
        description="The operator's token: preset for `up`, used by every other command.",
    )
    turngate_allowed_hosts: CommaList = Field(
        (),
        description="Names other than loopback that clients may address the gateway by.",
        examples=["gateway.example"],
    )
    turngate_allowed_origins: CommaList = Field(
        (),
        description="Web pages other than its own that may connect, as `https://host:port`.",
        examples=["https://chat.example"],
    )
    turngate_trusted_proxies: CommaList = Field(
        (),
        description="Addresses of reverse proxies whose forwarding headers are believed.",
        examples=["10.0.0.2"],
    )
    turngate_tls_cert: Path | None = Field(
        None, description="Certificate chain, PEM.", examples=["/etc/turngate/cert.pem"]
    )
    turngate_tls_key: Path | None = Field(
        None, description="Its private key, PEM.", examples=["/etc/turngate/key.pem"]
    )
    turngate_frame_bytes: int = Field(
        1 << 20,
        ge=64 << 10,
        le=4 << 20,
        description="Largest frame or request body of a client that is known, for batches and "
        "documents; at most 4 MiB, because one is read in one go while other clients wait.",
        examples=[4 << 20],
    )
    turngate_connections: int = Field(
        1024,
        ge=64,
        le=1 << 20,
        description="Maximum number of connections: half of it from one address, a quarter of one "
        "credential; sixteen more for operators and newcomers.",
        examples=[4096],
    )
    turngate_client_memory: int = Field(
        128,
        ge=32,
        le=1 << 20,
        description="MiB that may wait for slow clients together, an eighth of it for those of one "
        "credential; past it the client that holds most is closed, and resumes by number.",
        examples=[512],
    )
    turngate_request_rate: int = Field(
        500,
        ge=1,
        le=1_000_000,
        description="Requests a second that one credential may make while others wait, and twice "
        "as many in a burst; past it they are refused as `rate_limited`. Not operators.",
        examples=[2000],
    )

    def problems(self) -> dict[str, str]:
        problems: dict[str, str] = {}
        if not all(number.isdecimal() for number in self.turngate_sockets):
            problems["turngate_sockets"] = "should be numbers of open sockets, separated by commas"
        if self.turngate_tls_key is not None and self.turngate_tls_cert is None:
            problems["turngate_tls_cert"] = "missing, although TURNGATE_TLS_KEY is set"
        if not is_address(self.turngate_url, "http", "https", "ws", "wss"):
            problems["turngate_url"] = "should be an address like http://127.0.0.1:8765"
        return problems
