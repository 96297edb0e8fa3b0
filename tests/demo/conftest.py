"""A page that was opened, for the tests in a browser, and a host that lends a card."""

import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import SLOW, STATE, violations
from tests.demo.lending import Spaces


@pytest.fixture(scope="session")
def looked_at() -> set[str]:
    """States of the page whose colours were looked at."""
    return set()


@pytest.fixture(scope="module")
def tab(browser) -> Iterator[Page]:
    """A page that one test after another uses: the app's scripts are compiled once."""
    page = _opened(browser)
    yield page
    page.context.close()


@pytest.fixture
def fresh(browser, tab):
    """Pages of visitors who were never here; each notes its requests and script errors."""
    contexts, free = [], [tab]

    def fresh(width=1280, height=900, script="") -> Page:
        if free and not script and not tab.is_closed():
            page = free.pop()
        else:
            page = _opened(browser)
            page.add_init_script(script)
            contexts.append(page.context)
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(SLOW)
        page.asked.clear()
        page.broken.clear()
        return page

    yield fresh
    for context in contexts:
        context.close()
    if not free and not tab.is_closed():
        tab.evaluate("localStorage.clear(); sessionStorage.clear()")
        tab.goto("about:blank")


def _opened(browser) -> Page:
    page = browser.new_context(accept_downloads=True).new_page()
    page.asked, page.broken = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.broken.append(str(error)))
    return page


@pytest.fixture
def visit(fresh, served, looked_at):
    """Opens the page once its examples are judged."""
    pages = []

    def visit(width=1280, height=900, dark=False, query="", script="") -> Page:
        page = fresh(width, height, script)
        pages.append(page)
        theme = "dark" if dark else "light"
        page.goto(f"{served}?__theme={theme}{query}")
        page.locator("#rows button.row").first.wait_for()
        page.locator("#axes .main-svg").first.wait_for()
        expect(page.locator("#notice progress")).to_have_count(0)
        return page

    yield visit
    found = []
    for page in (one for first in pages for one in first.context.pages if not one.is_closed()):
        state = page.evaluate(STATE)
        found += violations(page, contrast=state not in looked_at)
        looked_at.add(state)
    assert not found, "the page that the test ended on has faults for those who cannot see it"


@pytest.fixture
def spaces(monkeypatch):
    """A host that lends a card."""
    host = Spaces()
    monkeypatch.setitem(sys.modules, "spaces", host)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    yield host
    host.end()
