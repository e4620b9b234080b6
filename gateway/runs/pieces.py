"""Documents too long for a frame, in pieces: parts of a text, each kept under the hash of its own.

A piece is a blob that no run refers to, so it goes when those are pruned, once an hour: a client
still fetching or sending then begins again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.errors import NotFound, TooLarge
from gateway.runs.results import apart
from gateway.store.base.steps import GetBlob
from gateway.store.base.store import Store, Unit
from gateway.wire.methods.run_document import MAX_PIECES, PIECE_CHARS


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of one store."""

    store: Store

    async def keep(self, text: str) -> str:
        """Keep one piece; its name. Cancelled: it is kept or not, which changes nothing."""
        name, blob = apart(text)
        await self.store.commit(Unit(blob))
        return name.removeprefix("blob:")

    async def keep_all(self, text: str) -> list[str]:
        """Cut a text and keep its pieces; their names. Raises `TooLarge` past `MAX_PIECES`."""
        cuts = range(0, len(text), PIECE_CHARS)
        if len(cuts) > MAX_PIECES:
            raise TooLarge(
                f"the document has {len(text)} characters, at most {MAX_PIECES * PIECE_CHARS} "
                "leave this way; turngate store backup copies everything"
            )
        return [await self.keep(text[cut : cut + PIECE_CHARS]) for cut in cuts]

    async def load(self, names: Iterable[str]) -> str:
        """The text of the pieces, joined; raises `NotFound` for one that is not there."""
        texts: list[str] = []
        for name in names:
            rows = await self.store.read(GetBlob(name))
            if not rows:
                raise NotFound(f"there is no piece {name}: begin anew, they are not kept for long")
            texts.append(rows[0].body)
        return "".join(texts)
