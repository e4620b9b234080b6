"""The address of a PostgreSQL database, taken apart before it reaches the client library. Pure.

Providers print addresses for libpq, Prisma and others; the library takes what it does not know for
a setting of the server, which then refuses the connection without saying why. Here every option is
taken, left without effect, or refused by name. No message repeats anything of the user part or an
option's value: a password that was not escaped can reach into every other part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode

from gateway.core.errors import ConfigError

APPLICATION = "turngate"
"""What the server's list of connections shows, unless the address says otherwise."""
EXPECTED = "expected postgresql://user:password@host:port/database"
DEFAULT_CONNECT_S = 5.0
"""How long making a connection may take: a machine that is gone does not refuse, it is silent."""

# fmt: off
TAKEN = frozenset((
    "host", "port", "dbname", "database", "user", "password", "passfile", "service",
    "sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl",
    "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
    "target_session_attrs", "krbsrvname", "gsslib", "application_name", "options",
    "search_path",
))
# fmt: on
"""What asyncpg understands, and what it hands to the server as a setting: two options of libpq, and
`search_path`, by which gateways share a database, each with tables of its own."""

# fmt: off
WITHOUT_EFFECT = frozenset((
    "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
    "tcp_user_timeout", "sslsni", "sslcompression", "fallback_application_name",
    "gssencmode", "gssdelegation", "load_balance_hosts", "client_encoding",
))
# fmt: on
"""What tunes libpq and changes neither where a connection leads nor who may read it."""

_HARMLESS = frozenset({"disable", "prefer", ""})

_REFUSED = {
    "channel_binding": "the client library cannot bind the channel: leave it out, and use "
    "sslmode=verify-full, which keeps others from standing in between",
    "require_auth": "the client library cannot limit the ways to log in: leave it out",
    "requirepeer": "the client library cannot check the server's user: leave it out",
    "replication": "turngate needs an ordinary connection: leave it out",
    "requiressl": "write sslmode=require instead",
    "pgbouncer": "it is an option of Prisma: leave it out; a pooler must be in session mode",
    "connection_limit": "it is an option of Prisma: leave it out",
    "pool_timeout": "it is an option of Prisma: leave it out",
    "schema": "it is an option of Prisma: write search_path=NAME instead",
    "ssl": "write sslmode=require instead",
}

_SHAPE = re.compile(
    r"""(?P<scheme>postgres(?:ql)?)://
        (?:(?P<user>[^:/?\#@\s]*)(?::(?P<password>[^:/?\#@\s]*))?@)?
        (?P<hosts>[^/?\#@\s]*)
        (?:/(?P<database>[^/?\#@\s]*))?
        (?:\?(?P<query>[^?\#@\s]*))?""",
    re.VERBOSE,
)
_HOSTS = re.compile(r"(?:\[[0-9a-fA-F:.%]+\]|[\w.%~-]*)(?::\d{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where a database is. `url` holds the password; `name` may be shown; times in seconds."""

    url: str
    name: str
    connect_s: float = DEFAULT_CONNECT_S


def parse_address(url: str) -> Address:
    """The address in a URL. Raises `ConfigError` in words without secrets."""
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        raise ConfigError(f"the address in TURNGATE_STORE is not one: {_why(url)}; {EXPECTED}")
    if not all(_HOSTS.fullmatch(host) for host in shape["hosts"].split(",")):
        raise ConfigError(
            f"the address in TURNGATE_STORE names no host that can be: {EXPECTED}; {_ESCAPE}"
        )
    kept, connect_s = _options(shape["query"] or "")
    user = f"{unquote(shape['user'])}@" if shape["user"] else ""
    path = f"/{shape['database']}" if shape["database"] is not None else ""
    bare = url.partition("?")[0]
    return Address(
        url=f"{bare}?{urlencode({'application_name': APPLICATION, **kept})}",
        name=f"postgresql://{user}{shape['hosts']}{path}",
        connect_s=connect_s,
    )


_ESCAPE = (
    "a password with other characters than letters, digits, '-', '.', '_' and '~' is written "
    "percent-encoded, '@' as %40, '/' as %2F, '#' as %23, '?' as %3F, ':' as %3A, '%' as %25"
)


def _why(url: str) -> str:
    scheme, found, _ = url.partition("://")
    if not found or not re.fullmatch(r"[a-z+]+", scheme):
        return "it does not begin with postgresql://"
    if scheme not in {"postgres", "postgresql"}:
        return f"it begins with {scheme}:// instead of postgresql://"
    return _ESCAPE


def _options(query: str) -> tuple[dict[str, str], float]:
    """The options for the client library, the last of a name, and the seconds to connect in."""
    if not query:
        return {}, DEFAULT_CONNECT_S
    try:
        given = parse_qsl(query, strict_parsing=True, keep_blank_values=True)
    except ValueError:
        raise ConfigError(
            "the options of the address in TURNGATE_STORE are not name=value&name=value; " + _ESCAPE
        ) from None
    kept: dict[str, str] = {}
    connect_s = DEFAULT_CONNECT_S
    for name, value in given:
        if name == "connect_timeout":
            connect_s = _seconds(value)
        elif name in TAKEN:
            kept[name] = value
        elif name in WITHOUT_EFFECT or (name == "channel_binding" and value in _HARMLESS):
            continue
        elif name in _REFUSED:
            raise ConfigError(f"TURNGATE_STORE has the option {name!r}: {_REFUSED[name]}")
        else:
            # Its name is not repeated: it may be the end of a password that was not escaped.
            raise ConfigError(
                f"TURNGATE_STORE has an option that PostgreSQL's clients do not know; known are "
                f"{', '.join(sorted({*TAKEN, 'connect_timeout'}))}; {_ESCAPE}"
            )
    return kept, connect_s


def _seconds(value: str) -> float:
    """libpq's `connect_timeout`: whole seconds, 2 at least; 0 and less mean for ever there."""
    if not re.fullmatch(r"-?\d{1,6}", value, re.ASCII):
        raise ConfigError("TURNGATE_STORE has a connect_timeout that is no number of seconds")
    return max(2.0, float(value)) if int(value) > 0 else DEFAULT_CONNECT_S
