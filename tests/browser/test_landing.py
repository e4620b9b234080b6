"""The page at `/`: what it tells people to type works from its own console, and it is readable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.clients.running import HANGS_S, Gateway

pytestmark = [pytest.mark.browser, pytest.mark.timeout(HANGS_S)]

ANSWER_MS = 20_000
READABLE = 4.5
"""Contrast of text to its background: WCAG 2.2, 1.4.3."""
CONTRASTS = """() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const color = getComputedStyle(node).backgroundColor;
    return color === 'rgba(0, 0, 0, 0)' && node.parentElement ? behind(node.parentElement) : color;
  };
  return [...document.querySelectorAll('h1, small, h2, p, pre, code, a')].map((node) => {
    const both = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
    return [node.tagName, (both[0] + 0.05) / (both[1] + 0.05)];
  });
}"""


class Seen:
    """What a page said in its console, and whom it asked."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        self.problems: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", lambda socket: self.asked.append(socket.url))

    def _console(self, kind: str, text: str) -> None:
        (self.problems if kind in ("error", "warning") else self.said).append(text)


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


def test_what_the_page_says_to_type_into_its_console_holds_a_conversation(
    gateway: Gateway, page: Page
) -> None:
    """With a ticket for the token, and nobody but the gateway is asked."""
    seen = Seen(page)
    page.on("dialog", lambda dialog: dialog.accept(gateway.token))
    page.goto(gateway.url)
    typed = page.inner_text("#console")

    def completed(message: Any) -> bool:
        return '"turn.completed"' in message.text

    with page.expect_console_message(completed, timeout=ANSWER_MS):
        page.evaluate(f"async () => {{ {typed} }}")
    page.wait_for_timeout(0)  # what arrived in the same moment is handed on
    events = [json.loads(line) for line in seen.said]
    [event] = [each["params"] for each in events if '"turn.completed"' in json.dumps(each)]
    assert event["result"]["text"].startswith("Hello!")
    assert seen.problems == []
    ours = (gateway.url, gateway.socket_url, "data:")
    assert [url for url in seen.asked if not url.startswith(ours)] == []
    assert not any(gateway.token in url for url in seen.asked)


def test_the_page_may_speak_to_nobody_else(gateway: Gateway, page: Page) -> None:
    """What is pasted into its console cannot carry the token away."""
    page.goto(gateway.url)
    away = "async () => { try { await fetch('https://elsewhere.example/'); return 'sent'; } "
    assert page.evaluate(away + "catch (error) { return String(error); } }") != "sent"
    loaded = "() => { const script = document.createElement('script'); script.textContent = "
    loaded += "'window.ran = true'; document.body.append(script); return window.ran === true; }"
    assert page.evaluate(loaded) is False


def test_a_page_of_another_origin_opens_no_socket(gateway: Gateway, page: Page) -> None:
    """What every browser would let it try, with any token in the world."""
    there = "http://elsewhere.example/"
    page.route(there, lambda route: route.fulfill(body="<title>elsewhere</title>"))
    page.goto(there)
    opening = """(url) => new Promise((done) => {
      const socket = new WebSocket(url);
      socket.onopen = () => done('open');
      socket.onclose = ({ code }) => done(code);
    })"""
    assert page.evaluate(opening, gateway.socket_url) == 1006


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_readable(
    gateway: Gateway, page: Page, scheme: Literal["light", "dark"]
) -> None:
    """In both colour schemes, on a phone, with a keyboard, and read aloud."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(gateway.url)
    weak = [(tag, ratio) for tag, ratio in page.evaluate(CONTRASTS) if ratio < READABLE]
    assert weak == []
    assert page.get_attribute("html", "lang") == "en"
    assert page.locator("main").count() == 1
    assert page.locator("h1").count() == 1
    width = "() => document.documentElement.scrollWidth <= window.innerWidth"
    assert page.evaluate(width), "the page is wider than a phone"
    unreachable = "() => [...document.querySelectorAll('pre')].filter((n) => n.tabIndex < 0).length"
    assert page.evaluate(unreachable) == 0, "what scrolls can be reached by keyboard"
