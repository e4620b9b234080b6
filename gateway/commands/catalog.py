"""Every command there is, in one place, and the help made from it."""

from __future__ import annotations

from gateway.commands import conversation, looking
from gateway.commands.command import Asked, Command, Subject
from gateway.identity.principal import Scope
from gateway.running import Gateway
from gateway.turns.commanding import Reply


async def help_(gateway: Gateway, asked: Asked) -> Reply:
    mine = [command for command in COMMANDS if asked.principal.has(command.scope)]
    width = max(len(command.usage) for command in mine)
    lines: list[str] = []
    for subject in Subject:
        there = [command for command in mine if command.subject == subject]
        if there:
            lines += ["", subject.value]
            lines += [f"  {command.usage:<{width}}  {command.tells}" for command in there]
    lines += ["", "//text says /text as it is."]
    return Reply("\n".join(lines[1:]))


async def exit_(gateway: Gateway, asked: Asked) -> Reply:
    return Reply("There is nothing to leave here; in a terminal /exit ends it.")


COMMANDS: tuple[Command, ...] = (
    *conversation.COMMANDS,
    *looking.COMMANDS,
    Command("exit", "", "end the conversation of this terminal", Subject.GATEWAY, exit_,
            Scope.READ, True, aliases=("quit",)),
    Command("help", "", "list the commands", Subject.GATEWAY, help_, Scope.READ, True),
)  # fmt: skip
