"""Shapes of the methods about the connection itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.wire.methods.base import Bare, Params, Result, Shape

ScopeName = Literal["read", "chat", "operator", "admin"]
Token = Annotated[str, Field(min_length=1, max_length=512)]
RequestId = str | int | float


class ClientInfo(Shape):
    """What a client calls itself; shown to operators, never relied on."""

    name: str = Field(max_length=64)
    version: str = Field("", max_length=64)


class Connect(Params):
    """Who the client is."""

    token: Token | None = Field(
        None, description="The credential; not needed where the handshake carried one."
    )
    scopes: list[ScopeName] | None = Field(
        None, max_length=4, description="Have at most these scopes from now on."
    )
    client: ClientInfo | None = None


class Limits(Result):
    """Bounds a client should know."""

    frame_bytes: int = Field(description="Largest frame or request body of a client.")
    message_bytes: int = Field(
        description="Largest message as it is read back: in JSON, its words twice."
    )
    result_bytes: int = Field(
        description="Largest page; only an answer of a model with more words is longer."
    )
    batch: int
    working: int


class Connected(Result):
    """Who the client is to the gateway."""

    principal: str
    scopes: list[ScopeName]
    version: str
    seq: int = Field(description="Number of the newest event: where a subscription would begin.")
    limits: Limits


class Login(Params):
    """The token under the name rpc-websockets users expect."""

    token: Token


class LoggedIn(Bare[bool]):
    """True; anything else is an error."""


class CancelRequest(Params):
    """Which request to take back."""

    id: RequestId


class RequestCancelledResult(Result):
    """Whether there was such a request still being worked on."""

    cancelled: bool


class EventNames(Params):
    """Names of events, or families of them such as `turn.`."""

    names: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(max_length=32)

    @classmethod
    def named(cls, values: list[Any]) -> dict[str, Any]:
        # The one method whose positional parameters are a list.
        return {"names": values}


class EventAnswers(Bare[dict[str, str]]):
    """`ok`, or what is wrong, by name."""


class MethodNames(Bare[list[str]]):
    """Every method, sorted."""


class OpenRpcDocument(Bare[dict[str, Any]]):
    """This protocol in OpenRPC."""
