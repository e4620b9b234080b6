"""Channels: how each does, and starting and stopping one while the gateway runs."""

from __future__ import annotations

from gateway.core.errors import Conflict, NotFound
from gateway.hosting.host import ChannelInfo
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.wire.methods import channels as wire
from gateway.wire.methods.base import NoParams


async def list_(call: Call, params: NoParams) -> wire.ChannelList:
    """How every channel of this gateway does."""
    return wire.ChannelList(channels=[_entry(info) for info in call.gateway.channels.seen()])


async def status(call: Call, params: wire.OneChannel) -> wire.ChannelEntry:
    """How one channel does."""
    return _entry(call.gateway.channels.one(params.channel, params.account))


async def start(call: Call, params: wire.OneChannel) -> wire.ChannelEntry:
    """Let a channel read and send; queued deliveries leave immediately."""
    await call.gateway.channels.start(params.channel, params.account)
    return await status(call, params)


async def stop(call: Call, params: wire.OneChannel) -> wire.ChannelEntry:
    """Let a channel read and send no more; what it should send waits for its next start."""
    await call.gateway.channels.stop(params.channel, params.account)
    return await status(call, params)


def _entry(info: ChannelInfo) -> wire.ChannelEntry:
    return wire.ChannelEntry(
        channel=info.name,
        account=info.account,
        state=info.state.value,
        since=info.since,
        restarts=info.restarts,
        error=info.error,
    )


LIST = Method("channels.list", Scope.READ, list_)
STATUS = Method("channels.status", Scope.READ, status, errors=(NotFound,))
STOP = Method("channels.stop", Scope.OPERATOR, stop, errors=(NotFound, Conflict))
START = Method("channels.start", Scope.OPERATOR, start, errors=(NotFound, Conflict))
