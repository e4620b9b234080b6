"""What the gateway can do, told by itself."""

from __future__ import annotations

from gateway.rpc.call import Call
from gateway.rpc.method import Example, Method
from gateway.wire.methods.base import NoParams
from gateway.wire.methods.connection import MethodNames, OpenRpcDocument


async def discover(call: Call, params: NoParams) -> OpenRpcDocument:
    """The protocol in OpenRPC."""
    return OpenRpcDocument(call.shared.discovery.document)


async def list_methods(call: Call, params: NoParams) -> MethodNames:
    """Every method."""
    return MethodNames(list(call.shared.discovery.names))


DISCOVER = Method(
    "rpc.discover",
    None,
    NoParams,
    OpenRpcDocument,
    discover,
    "This protocol as an OpenRPC document.",
    Example({}, {"openrpc": "1.3.2"}),
)
LIST_METHODS = Method(
    "__listMethods",
    None,
    NoParams,
    MethodNames,
    list_methods,
    "The names of all methods.",
    Example({}, ["$/cancelRequest", "__listMethods"]),
)
