"""Names the gateway that keeps another one from starting: by its home or by its port."""

from __future__ import annotations

import errno
import shlex

from gateway.cli.nearby import at_port
from gateway.cli.target import said_by
from gateway.core.errors import ConfigError, StoreLocked
from gateway.settings.settings import Settings


def with_owner(error: StoreLocked, settings: Settings) -> StoreLocked:
    """The same, with the address of the gateway that runs on this home where it is known."""
    other = said_by(settings.turngate_home)
    if other is None:
        return error
    return StoreLocked(
        f"{other.command or 'up'} in another terminal already runs the gateway of this "
        f"home, at {other.url}; use that one (turngate chat), or end it and start again. "
        f"{error}"
    )


def with_holder(error: ConfigError, settings: Settings) -> ConfigError:
    """The same, naming the gateway that holds the port where it is one of this user's."""
    cause = error.__cause__
    if not isinstance(cause, OSError) or cause.errno != errno.EADDRINUSE:
        return error
    holder = at_port(settings)
    if holder is None or holder.home is None:
        return error
    home = shlex.quote(str(holder.home))
    return ConfigError(
        f"port {settings.turngate_port} is taken by the gateway of {holder.home}, at {holder.url}: "
        f"use that one (turngate chat --home {home}), stop it, or set TURNGATE_PORT, 0 picks one"
    )
