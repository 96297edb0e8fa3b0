"""What the browser tests share besides their fixtures."""

from importlib.resources import files

from playwright.sync_api import expect

SLOW = 120_000  # milliseconds; machines that run tests are busy
STATE = """() => [...document.querySelectorAll('[role=tab]')]
  .map((tab) => tab.ariaSelected === 'true' && tab.textContent).join()
  + [...document.querySelectorAll('.notice, .chip, button[id]')]
  .filter((one) => one.offsetParent).map((one) => one.id || one.className).sort().join()
  + document.body.className + (innerWidth <= 720)"""  # what colours may differ by
UNLABELLED = """() => [...document.querySelectorAll('input, select, textarea, button')]
  .filter((e) => e.type !== 'hidden' && e.offsetParent !== null)
  .filter((e) => !(e.labels?.length || e.ariaLabel || e.title || e.textContent.trim()
    || e.getAttribute('aria-labelledby') || e.closest('label')))
  .map((e) => e.outerHTML.slice(0, 200))"""

MOVED = """() => Promise.allSettled(document.getAnimations()
  .filter((one) => one.effect.getComputedTiming().endTime < 5000).map((one) => one.finished))"""

expect.set_options(timeout=SLOW)


def violations(page, contrast: bool = True) -> list[str]:
    """What axe finds serious or critical on the page as it is, a rule and an element a line."""
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    page.evaluate(script)
    page.evaluate(MOVED)
    rules = {
        "label-content-name-mismatch": {"enabled": True},
        "color-contrast": {"enabled": contrast},  # takes most of the time
    }
    options = {"resultTypes": ["violations"], "rules": rules}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
