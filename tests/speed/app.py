"""How long `python app.py` takes to be of use, and what it holds in memory.

    python -m tests.speed.app [--verdicts 500] [--chromium PATH]

Prints the seconds from the start of the process to a usable page and to the first verdict, both as
seen in a browser, then the server's resident memory when idle after it and after many verdicts.
Run it twice: the first run reads every file from the disk.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
SLOW = 180_000  # milliseconds
BATCH = 100
SETTLING = 8  # seconds without work before memory is read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verdicts", type=int, default=500)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    args = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=args.chromium, args=FLAGS)
        browser.new_page().close()  # its own start is not the app's
        with served() as (server, address, started):
            page = opened(browser, address)
            page.locator("#pictures input[type=file]").wait_for(state="attached")
            print(f"usable page    {time.monotonic() - started:7.1f} s   (bar: 6)")
            page.locator("#rows .chip.id, #rows .chip.ood").first.wait_for()
            print(f"first verdict  {time.monotonic() - started:7.1f} s   (bar: 12)")
            time.sleep(SETTLING)
            before = resident(server)
            print(f"resident       {before:7.0f} MB  (bar: 1300)")
            page.context.close()
            judged = judge(browser, address, args.verdicts)
            time.sleep(SETTLING)
            after = resident(server)
            print(f"growth         {after - before:7.1f} MB  after {judged} verdicts (bar: 50)")
        browser.close()


@contextmanager
def served() -> Iterator[tuple[subprocess.Popen, str, float]]:
    """The app in a process of its own; when it was started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.monotonic()
    server = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        yield server, f"http://127.0.0.1:{port}", started
    finally:
        server.terminate()
        server.wait()


def opened(browser: Browser, address: str) -> Page:
    """The page, as soon as the server answers; a browser that asks in vain would slow it down."""
    host, port = address.removeprefix("http://").split(":")
    for _ in range(SLOW // 50):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            break
        except OSError:  # nobody listens yet
            time.sleep(0.05)
    else:
        raise SystemExit("the app did not start")
    page = browser.new_page()
    page.set_default_timeout(SLOW)
    page.goto(address, wait_until="commit")
    return page


def judge(browser: Browser, address: str, count: int) -> int:
    """Upload test scenes a batch at a time, each batch from a new visitor."""
    scenes = [str(path) for path in sorted((ROOT / "assets" / "benchmark").rglob("*.webp"))]
    done = 0
    while done < count:
        page = opened(browser, address)
        page.locator("#rows button.row").first.wait_for()
        some = (scenes * 2)[done % len(scenes) :][: min(BATCH, count - done)]
        page.locator("#pictures input[type=file]").set_input_files(some)
        page.locator("#rows button.row").nth(len(some) - 1).wait_for()
        page.locator("#notice progress").wait_for(state="detached")
        done += len(some)
        page.close()
    return done


def resident(server: subprocess.Popen) -> float:
    """The server's resident memory in MB (10^6 bytes)."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
