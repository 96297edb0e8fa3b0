"""Commands in several processes, started as `torchrun` starts them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
FOREIGN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture
def started():
    """Starts a command in so many processes of one thread; they are ended with the test."""
    running = []

    def start(arguments, size=2):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        clean = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        many = {"WORLD_SIZE": size, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "setar_core", *map(str, arguments)],
                cwd=ROOT,
                env={
                    **clean,
                    "OMP_NUM_THREADS": "1",
                    **({} if size == 1 else {"RANK": str(rank)}),
                    **({} if size == 1 else {name: str(value) for name, value in many.items()}),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(size)
        ]
        running.extend(processes)
        return processes

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def run(started):
    """The exit codes of a command in so many processes, and all that they print."""

    def run(arguments, size=2):
        processes = started(arguments, size)
        told = [process.communicate(timeout=240) for process in processes]
        codes = [process.returncode for process in processes]
        return codes, "".join(out for out, _ in told), "".join(err for _, err in told)

    return run
