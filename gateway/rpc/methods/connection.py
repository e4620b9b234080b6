"""Who the client is, what the gateway can do, and taking a request back."""

from __future__ import annotations

from gateway.core.errors import Forbidden, RateLimited, Unauthenticated
from gateway.identity.principal import Principal, Scope
from gateway.intake.limits import MAX_MESSAGE_BYTES
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.rpc.slots import WORKING
from gateway.wire import jsonrpc
from gateway.wire.methods import connection as wire
from gateway.wire.methods.base import NoParams


async def connect(call: Call, params: wire.Connect) -> wire.Connected:
    """Say who you are; `scopes` narrows what this connection may do."""
    principal = call.principal
    if params.token is not None:
        principal = await call.gateway.credentials.authenticate(params.token, call.address)
    if not principal.credential_id:
        raise Unauthenticated("there is no token; give one as `token`")
    if params.scopes is not None:
        principal = principal.narrowed(Scope(scope) for scope in params.scopes)
        if not principal.scopes:
            raise Forbidden("none of these scopes is among the credential's")
    call.lasting.connection.become(principal)
    client = f"{params.client.name} {params.client.version}".strip() if params.client else ""
    call.lasting.introduce(client)
    return _connected(call, principal)


async def login(call: Call, params: wire.Login) -> wire.LoggedIn:
    """The same as `connect`, under the name rpc-websockets uses."""
    await connect(call, wire.Connect(token=params.token))
    return wire.LoggedIn(True)


async def cancel_request(call: Call, params: wire.CancelRequest) -> wire.RequestCancelledResult:
    """Take back a request of this connection: it is answered with -32800, turns go on."""
    return wire.RequestCancelledResult(cancelled=call.working.cancel(params.id))


async def discover(call: Call, params: NoParams) -> wire.OpenRpcDocument:
    """This protocol as an OpenRPC document."""
    return wire.OpenRpcDocument(call.shared.discovery.document)


async def list_methods(call: Call, params: NoParams) -> wire.MethodNames:
    """The names of all methods."""
    return wire.MethodNames(list(call.shared.discovery.names))


def _connected(call: Call, principal: Principal) -> wire.Connected:
    return wire.Connected.model_validate(
        {
            "principal": principal.name,
            "scopes": sorted(principal.scopes),
            "version": call.gateway.about.version,
            "seq": call.gateway.log.head,
            "limits": wire.Limits(
                frame_bytes=call.shared.max_frame_bytes,
                message_bytes=MAX_MESSAGE_BYTES,
                result_bytes=call.shared.max_result_bytes,
                batch=jsonrpc.MAX_BATCH,
                working=WORKING,
            ),
        }
    )


CONNECT = Method("connect", None, connect, always=True, lasting=True, errors=(RateLimited,))
LOGIN = Method("rpc.login", None, login, always=True, lasting=True, errors=(RateLimited,))
CANCEL_REQUEST = Method("$/cancelRequest", None, cancel_request, always=True, lasting=True)
DISCOVER = Method("rpc.discover", None, discover)
LIST_METHODS = Method("__listMethods", None, list_methods)
