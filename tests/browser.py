"""What the browser tests share besides their fixtures."""

from playwright.sync_api import expect

SLOW = 120_000  # milliseconds; machines that run tests are busy
UNLABELLED = """() => [...document.querySelectorAll('input, select, textarea, button')]
  .filter((e) => e.type !== 'hidden' && e.offsetParent !== null)
  .filter((e) => !(e.labels?.length || e.ariaLabel || e.title || e.textContent.trim()
    || e.getAttribute('aria-labelledby') || e.closest('label')))
  .map((e) => e.outerHTML.slice(0, 200))"""

expect.set_options(timeout=SLOW)
