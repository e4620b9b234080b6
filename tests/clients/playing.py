"""Doing what a page shows to somebody with a gateway in one terminal and a shell in another.

The pages' own words: a block with `file=` is saved, a `shellsession` block is typed line by line,
and what it prints must be what the page shows. `turngate up` is the gateway that runs already. The
port on the pages, 8765, stands for the one it has.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess

from tests.clients.running import Gateway, environment, eventually, node_modules
from tests.docs.pages import Block, read, sections
from tests.docs.playing import MARK, commands
from tests.docs.sameness import differences
from tests.support.patience import PATIENCE_S

SHOWN = "127.0.0.1:8765"
UP = "turngate up"


def network_sections(page: str) -> dict[str, list[Block]]:
    """The sections of a page that need a gateway, by heading."""
    return {
        title: inside
        for title, inside in sections(read(page))
        if any(block.language == "shellsession" for block in inside)
    }


def follow(blocks: list[Block], gateway: Gateway) -> list[str]:
    """Do all of a section in the gateway's folder; what the page says wrongly."""
    modules = gateway.folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(node_modules())
    wrong: list[str] = []
    for block in blocks:
        if block.file:
            (gateway.folder / block.file).write_text(_here(block.text, gateway), "utf-8")
        elif block.language == "shellsession":
            wrong += [f"line {block.line}: {problem}" for problem in _typed(block, gateway)]
    return wrong


def _typed(block: Block, gateway: Gateway) -> list[str]:
    typed = commands(block.text)
    if typed[0].line.startswith(UP):
        # Which model answers depends on the machine; here it is the scripted one.
        page = re.sub(r"(Ctrl-C stops it\.).*", r"\1 …", typed[0].shown)

        def wrong() -> list[str]:
            return differences(page, _shown(f"{gateway.url}\n{gateway.said()}", gateway))

        eventually(lambda: not wrong())
        return wrong()
    lines = (f"{_here(command.line, gateway)}\nprintf '{MARK}'\n" for command in typed)
    real = _shell("".join(lines), gateway).split(MARK)
    return [
        f"`{command.line}`: {problem}"
        for command, output in zip(typed, real, strict=False)
        for problem in differences(command.shown, _shown(output, gateway))
    ]


def _shell(lines: str, gateway: Gateway) -> str:
    """What a shell prints, errors too. Its input stays open, as that of a person does."""
    ours, theirs = os.pipe()
    process = subprocess.Popen(
        ["bash", "-c", lines],
        cwd=gateway.folder,
        env=environment(HOME=str(gateway.folder)),
        stdin=ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    try:
        return process.communicate(timeout=PATIENCE_S)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        os.close(ours)
        os.close(theirs)


def _here(text: str, gateway: Gateway) -> str:
    return text.replace(SHOWN, gateway.url.rpartition("/")[2])


def _shown(text: str, gateway: Gateway) -> str:
    return text.replace(gateway.url.rpartition("/")[2], SHOWN)
