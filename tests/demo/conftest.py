"""A page that was opened, for the tests in a browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import SLOW


@pytest.fixture
def visit(browser, served):
    """Opens the page once its examples are judged; notes every request and script error."""
    contexts = []

    def visit(width=1280, height=900, dark=False, query="") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW)
        page.asked, page.broken = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.broken.append(str(error)))
        theme = "dark" if dark else "light"
        page.goto(f"{served}?__theme={theme}{query}")
        page.locator("#rows button.row").first.wait_for()
        page.locator("#axes .main-svg").first.wait_for()
        expect(page.locator("#notice progress")).to_have_count(0)
        return page

    yield visit
    for context in contexts:
        context.close()
