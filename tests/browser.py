"""What the browser tests share besides their fixtures."""

from importlib.resources import files

from playwright.sync_api import expect

SLOW = 120_000  # milliseconds; machines that run tests are busy
UNLABELLED = """() => [...document.querySelectorAll('input, select, textarea, button')]
  .filter((e) => e.type !== 'hidden' && e.offsetParent !== null)
  .filter((e) => !(e.labels?.length || e.ariaLabel || e.title || e.textContent.trim()
    || e.getAttribute('aria-labelledby') || e.closest('label')))
  .map((e) => e.outerHTML.slice(0, 200))"""

expect.set_options(timeout=SLOW)


def violations(page) -> list[str]:
    """What axe finds serious or critical on the page as it is, a rule and an element a line."""
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    page.evaluate(script)
    found = page.evaluate(
        "() => axe.run(document, {rules: {'label-content-name-mismatch': {enabled: true}}})"
    )
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
