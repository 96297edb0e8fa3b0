"""The door: what it takes from the command line."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import app
from setar_core.commands.console import ended
from tests.processes import heeds

ROOT = Path(__file__).resolve().parents[2]


def test_tools_are_offered_where_their_package_is_installed(monkeypatch):
    assert app.arguments([]).mcp and not app.arguments(["--no-mcp"]).mcp
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    assert not app.arguments([]).mcp


def test_tools_without_their_package_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        app.arguments(["--mcp"])
    assert "gradio[mcp]" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit):
        app.arguments(["--data", "no/such/folder"])
    assert "no such folder" in capsys.readouterr().err


def test_all_of_the_start_is_handed_on(monkeypatch):
    """The page is served as the command line says, and the savings come first."""
    done = []
    monkeypatch.setattr(sys, "argv", ["app.py", "--no-mcp", "--port", "7999"])
    monkeypatch.setattr(app.startup, "hurry", lambda: done.append("hurry"))

    class Served:
        @property
        def is_running(self):
            done.append("wait")

        def close(self, verbose):
            done.append("close")

    monkeypatch.setattr(
        app, "start", lambda asked: done.append((asked.port, asked.mcp)) or Served()
    )
    assert app.serve() == 0
    assert done == ["hurry", (7999, False), "wait", "close"]


def test_a_card_is_asked_for_before_what_might_touch_one(tmp_path):
    (tmp_path / "spaces.py").write_text(
        "import sys\n"
        "loaded = {'gradio', 'torch'} & set(sys.modules)\n"
        "def GPU(duration):\n"
        "    sys.exit(f'asked after {loaded}' if loaded else 'asked first')\n"
    )
    code = "import app; app.start(app.arguments([]))"
    paths = os.pathsep.join((str(ROOT), str(tmp_path)))
    env = {**os.environ, "PYTHONPATH": paths, "SPACES_ZERO_GPU": "true"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.stderr.strip() == "asked first"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80.0", "١", "9" * 5000])
def test_a_port_out_of_range_takes_one_line(port, capsys):
    with pytest.raises(SystemExit) as end:
        app.arguments([f"--port={port}"])
    said = capsys.readouterr().err
    assert end.value.code == 2 and "up to 65535" in said and said.count("\n") == 1


@pytest.mark.parametrize("host", [None, "127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_in_use_is_found_before_anything_is_loaded(host, monkeypatch, capsys):
    monkeypatch.setattr(app.startup, "hurry", lambda: pytest.fail("it began"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        hosts = ["--host", host] if host else []
        monkeypatch.setattr(sys, "argv", ["app.py", "--port", str(port), *hosts])
        assert ended(app.serve) == 2
        said = capsys.readouterr().err
        assert f"port {port} cannot be listened on (Address already in use)" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1", "a" * 70, "\ud800"])
def test_an_address_that_is_not_this_machines_is_refused(host):
    with pytest.raises(ValueError, match="give another --port or --host"):
        app.check_address(host, None)


@pytest.mark.parametrize(
    ("number", "code", "served"), [(signal.SIGINT, 130, False), (signal.SIGTERM, 143, True)]
)
def test_a_signal_stops_the_app_in_one_line(number, code, served):
    """While it begins, and when it serves."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "app.py", "--no-mcp", "--port", str(port)],
        cwd=Path(app.__file__).parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (listens(port) if served else heeds(process.pid)):
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert (process.returncode, said) == (code, "stopped\n")


def listens(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
