"""Text on its way reaches whoever watches, and nobody who watches can hurt it."""

import structlog

from gateway.core.ids import TurnId
from gateway.events.previews import Preview, Previews

HI = Preview(TurnId("t1"), "agent:main:main", "0", 1, 0, "hi")


def test_a_piece_reaches_everybody_who_listens() -> None:
    """In the order in which they began, until they end."""
    previews = Previews()
    heard: list[tuple[str, Preview]] = []
    end = previews.listen(lambda preview: heard.append(("a", preview)))
    previews.listen(lambda preview: heard.append(("b", preview)))
    previews.publish(HI)
    end()
    previews.publish(HI)
    assert heard == [("a", HI), ("b", HI), ("b", HI)]


def test_ending_twice_ends_once() -> None:
    """Also when one function listens for two."""
    previews = Previews()
    heard: list[Preview] = []
    first = previews.listen(heard.append)
    previews.listen(heard.append)
    first()
    first()
    previews.publish(HI)
    assert heard == [HI]


def test_a_listener_that_fails_harms_nobody() -> None:
    """Neither the turn that speaks nor who listens beside it."""

    def fail(preview: Preview) -> None:
        raise ValueError("broken pipe")

    previews = Previews()
    heard: list[Preview] = []
    previews.listen(fail)
    previews.listen(heard.append)
    with structlog.testing.capture_logs() as lines:
        previews.publish(HI)
    assert heard == [HI]
    assert [line["event"] for line in lines] == ["preview.listener_failed"]


def test_a_listener_may_end_itself_while_it_listens() -> None:
    """The others hear the piece all the same."""
    previews = Previews()
    heard: list[str] = []
    ends = [previews.listen(lambda preview: ends[0]())]
    previews.listen(lambda preview: heard.append(preview.text))
    previews.publish(HI)
    previews.publish(HI)
    assert heard == ["hi", "hi"]
