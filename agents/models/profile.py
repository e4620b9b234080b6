"""A profile: one key bound to one base URL, and how long to wait for an answer there.

Whoever reads the settings makes it; the key goes to the host of this URL and nowhere else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.core.errors import ConfigError

LOCAL = "local"
"""The model that comes along; no server is asked for one of this name."""


_PROXY = re.compile(r"https?://([^/?#@\s]*@)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Profile:
    """Where to ask, as whom, for what. `api_key` may be empty for servers that want none.

    `models` are the ones this server has; empty means any. `model` is what is asked for where a
    request names none. `lacks` are members of a request that its models do not take, `pinned` those
    they do take although a server may refuse them. `window` is how many tokens its models take,
    `output` how many an answer may have, `simultaneous` how many requests are sent at a time, 0
    where that is not known; `limit_name` is what the server calls the output limit, empty for the
    usual name; `identity` is how many tokens of the system prompt they are told, 0 for all.
    `requests_a_minute` and `tokens_a_minute` are what each model may be asked
    for with this key, 0 for no bound. `proxy` is the only way to a proxy: variables of the
    environment are not looked at, see `openai_sdk`. `keep_alive` is off for a server that drops
    idle connections without a word. `authorities` are files and folders of certificate authorities
    that are trusted beside the system's. `extra` are members of every request that only this server
    understands. Raises `ConfigError` for what could never work or would
    leak the key.
    """

    base_url: str
    api_key: str = field(repr=False)
    model: str
    name: str = "default"
    proxy: str = field(default="", repr=False)
    models: tuple[str, ...] = ()
    tools: bool = True
    images: bool = True
    without: frozenset[str] = frozenset()
    pinned: frozenset[str] = frozenset()
    window: int = 0
    output: int = 0
    simultaneous: int = 0
    limit_name: str = ""
    identity: int = 0
    requests_a_minute: int = 0
    tokens_a_minute: int = 0
    keep_alive: bool = True
    authorities: tuple[Path, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def fingerprint(self) -> str:
        """Changes with the key or the address: what was learnt of the old ones is void then."""
        said = f"{self.base_url} {self.api_key}".encode()
        return hashlib.sha256(said).hexdigest()[:16]

    @property
    def lacks(self) -> frozenset[str]:
        """The members of a request that the settings say its models do not take."""
        said = {"tools": self.tools, "images": self.images}
        return self.without | {name for name, takes in said.items() if not takes}

    def serves(self, model: str) -> bool:
        """Whether this model is asked for here."""
        return model in self.models or (not self.models and model != LOCAL)

    def __post_init__(self) -> None:
        try:
            url = urlsplit(self.base_url)
            _ = url.port
        except ValueError as error:
            raise ConfigError(f"the base URL of a model is no address: {error}") from error
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ConfigError(
                "the base URL of a model must be http://host/path or https://host/path"
            )
        if url.username or url.password or url.query or url.fragment:
            raise ConfigError(
                "the base URL of a model holds a user name, a query or a fragment; "
                "a key belongs into its own setting"
            )
        # An HTTP library's complaint about such a header would quote it.
        if not re.fullmatch(r"[\x21-\x7e]*", self.api_key):
            raise ConfigError(
                f"the API key of profile {self.name!r} holds a space, a line break or a character "
                "outside of ASCII"
            )
        if self.proxy and not _PROXY.fullmatch(self.proxy):
            raise ConfigError(
                f"the proxy of profile {self.name!r} is no address; expected "
                "http://user:password@host:port, with other characters than letters and digits "
                "percent-encoded"
            )


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds."""

    connect_s: float = 5.0
    """For the connection; a server that is there accepts within this."""
    idle_s: float = 60.0
    """For the first byte and between two pieces of an answer; long prompts take their time."""
    total_s: float = 600.0
    """For the whole answer, on the injected clock: slow drips end as well."""
