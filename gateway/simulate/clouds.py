"""Exchanges of cloud providers, as each sends them: what `cloud:NAME` answers with.

A file in `clouds/` has those of one provider, with what is peculiar to it and where that is written
down: an answer, a call of the tool `current_time`, an answer to its result, and a refusal. Values
are made up; members, their order and the ends of the streams are the provider's. Which one a
request gets is decided by its last message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

from gateway.core.errors import ConfigError
from gateway.core.suggestions import did_you_mean
from gateway.simulate.answers import Raw
from gateway.simulate.asked import Asked
from gateway.simulate.fault import Fault

CLOUD_MODEL = "cloud:"
"""A model of this name and a provider's is answered as that provider does, whatever the rules."""

_SECTION = re.compile(r"^>>> (\w+) ?(\w*)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cloud:
    """One provider; `shows` is what is peculiar to it, `source` where that is written down."""

    name: str
    shows: str
    source: str
    answer: Raw
    call: Raw
    told: Raw
    refusal: Fault

    def exchange(self, asked: Asked) -> Raw | Fault:
        """What this request is answered with: a message with `refuse` in it is refused, one with
        `time` in it calls the tool, where it was offered."""
        if asked.results:
            return self.told
        # The last line alone: a message that was refused stands before the next one.
        words = asked.user_text.strip().lower().rpartition("\n")[2]
        if "refuse" in words:
            return self.refusal
        tools = [tool.get("function", {}).get("name") for tool in asked.body.get("tools", ())]
        return self.call if "time" in words and "current_time" in tools else self.answer


def find(name: str) -> Cloud:
    """The provider of this name; raises `ConfigError` with what is near."""
    cloud = CLOUDS.get(name.strip().lower())
    if cloud is not None:
        return cloud
    hint = did_you_mean(name, CLOUDS, otherwise="see turngate simulate --list")
    raise ConfigError(f"there is no cloud {name!r}; {hint}")


def _read(name: str, text: str) -> Cloud:
    head, *sections = _SECTION.split(text)
    shows, source = (line.removeprefix("# ") for line in head.strip().splitlines())
    found = {
        kind: _response(body) for kind, body in zip(sections[::3], sections[2::3], strict=True)
    }
    leads_to = next(filter(None, sections[1::3]))
    refusal = Fault(f"cloud:{name}", leads_to, f"a refusal of {name}", found["refusal"])
    source = source.removeprefix("Source: ")
    return Cloud(name, shows, source, found["answer"], found["call"], found["told"], refusal)


def _response(text: str) -> Raw:
    """`STATUS TYPE`, further headers, an empty line, the body."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    status, _, kind = first.partition(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    # An event a piece, as it is sent.
    pieces = re.split(r"(?<=\n\n)", body.rstrip("\n") + "\n\n")
    sent = tuple(piece.encode() for piece in pieces if piece)
    return Raw(sent, int(status), {"content-type": kind, **headers})


CLOUDS: dict[str, Cloud] = {
    name: _read(name, file.read_text("utf-8"))
    for file in (resources.files(__package__) / "clouds").iterdir()
    if (name := file.name.removesuffix(".http")) != file.name
}
