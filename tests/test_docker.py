"""The Dockerfile's steps, replayed where no docker is: what it copies, runs and asks."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINES = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
SLOW = 120  # seconds; machines that run tests are busy


def said(instruction):
    """What follows an instruction, each time that it is given."""
    return [line.split(None, 1)[1] for line in LINES if line.split(None, 1)[:1] == [instruction]]


def ignored(path):
    """Whether .dockerignore keeps it from what is copied."""
    told = False
    for rule in (ROOT / ".dockerignore").read_text(encoding="utf-8").split():
        start = rule.lstrip("!")
        if start == "*" or path == start or path.startswith(f"{start}/"):
            told = not rule.startswith("!")
    return told


def answers(command, port):
    """Whether the health check passes."""
    asked = [sys.executable if part == "python" else part for part in command]
    asked[-1] = asked[-1].replace("7860", str(port))
    return subprocess.run(asked, capture_output=True).returncode == 0


def test_what_is_copied_is_there_and_the_user_is_nobody_of_note():
    for line in said("COPY"):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists() and not ignored(name), name
    assert ignored("tests/conftest.py") and ignored("assets/screenshots/detect.png")
    assert said("USER") == ["visitor"] and "HF_HOME=/weights" in said("ENV")[0]
    assert said("VOLUME") == ["/weights"]


def test_the_copied_files_alone_serve_the_page_and_pass_the_health_check(tmp_path):
    place, home = tmp_path / "app", tmp_path / "home"
    home.mkdir()
    for line in said("COPY"):
        *names, target = line.split()
        for name in names:
            to = place / target / (name if target == "./" else "")
            skip = shutil.ignore_patterns("__pycache__", "screenshots")
            to.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, to, ignore=skip, dirs_exist_ok=True)
            else:
                shutil.copy(ROOT / name, to)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = json.loads(said("ENTRYPOINT")[0])
    command = [sys.executable, *command[1:]]
    command[command.index("7860")] = str(port)
    kept = dict(re.findall(r"(\w+)=(\S+)", said("ENV")[0]))
    kept |= {"HF_HOME": str(home), "GRADIO_TEMP_DIR": str(home / "gradio"), "HOME": str(home)}
    health = json.loads(said("HEALTHCHECK")[0].split("CMD", 1)[1])
    assert not answers(health, port)
    server = subprocess.Popen(command, cwd=place, env={**os.environ, **kept})
    try:
        until = time.monotonic() + SLOW
        while not answers(health, port):
            assert server.poll() is None and time.monotonic() < until
            time.sleep(1)
    finally:
        server.terminate()
        server.wait(SLOW)
    assert not [*place.rglob("__pycache__")]  # nothing is written where the app lies


@pytest.mark.long
def test_the_requirements_install_in_a_fresh_environment(tmp_path):
    fresh = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
    python = fresh / "bin" / "python"
    asked = [python, "-m", "pip", "install", "--quiet", "-r", ROOT / "requirements.txt"]
    subprocess.run([*asked, "gradio[mcp]"], check=True)
    subprocess.run([python, "-c", "import app"], check=True, cwd=ROOT)
