"""How a program ends: in a process of its own, by signals, refusals, and streams that are gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from setar_core.commands.console import ended, say

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys, time
from setar_core.commands.console import ended, say, tell
def work():
    {}
    return 0
sys.exit(ended(work))
"""
WAIT = "tell('ready'); time.sleep(60)"


def script(*lines):
    return [sys.executable, "-c", SCRIPT.format("\n    ".join(lines))]


def begun(*lines, **more):
    """A process that has said `ready`."""
    process = subprocess.Popen(
        script(*lines), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )
    assert process.stdout.readline() == "ready\n"
    return process


def run(*lines, **more):
    return subprocess.run(
        script(*lines), cwd=ROOT, text=True, **{"stderr": subprocess.PIPE, "timeout": 60} | more
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_takes_one_line_and_has_its_code(number, code):
    process = begun(WAIT)
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "stopped\n")
    assert process.returncode == code


def test_work_that_ends_well_after_a_signal_still_says_that_it_was_stopped():
    saves = ["try:", f"    {WAIT}", "except KeyboardInterrupt:", "    tell('saved')"]
    process = begun(*saves)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) == ("saved\n", "")
    assert process.returncode == 143


@pytest.mark.parametrize("late", [[], ["import atexit", "atexit.register(lambda: hang())"]])
def test_a_second_signal_ends_it_at_once(late):
    """Also while it saves, or ends."""
    hangs = ["def hang():", "    tell('hangs')", "    time.sleep(60)", *late]
    saves = ["try:", f"    {WAIT}", "except KeyboardInterrupt:", "    hang()"]
    process = begun(*hangs, *(saves if not late else [WAIT]))
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "hangs\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said


def test_a_signal_that_its_caller_ignores_is_ignored():
    ignored = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731
    process = begun("tell('ready'); time.sleep(1)", preexec_fn=ignored)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "") and process.returncode == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("line", ["tell('x')", "print('x')", "print('x' * 10**6)"])
def test_a_reader_that_is_gone_is_told_in_one_line(line, unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = run(line, stdout=writer, env=environment)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "stopped: nobody reads stdout any more\n")


@pytest.mark.parametrize("line", ["tell('x')", "print('x')", "print('x'); raise ValueError('why')"])
def test_a_stdout_that_is_full_is_told_in_one_line(line):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w") as full:
        done = run(line, stdout=full, env=os.environ | {"PYTHONUNBUFFERED": ""})
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert ("why" if "why" in line else "No space left on device") in done.stderr


def test_without_a_stdout_nothing_begins():
    done = run("say('begun')", preexec_fn=lambda: os.close(1))
    assert done.returncode == 2
    assert "stdout is closed" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("how", ["closed", "unread"])
def test_without_a_stderr_the_work_goes_on(how, tmp_path):
    """And what is said goes neither to stdout nor into the next file that is opened."""
    file = tmp_path / "results.txt"
    lines = [f"with open({str(file)!r}, 'w'):", "    say('for nobody')", "tell('done')"]
    more = {"stderr": None, "preexec_fn": lambda: os.close(2)}
    if how == "unread":
        reader, writer = os.pipe()
        os.close(reader)
        more = {"stderr": writer}
    done = run(*lines, stdout=subprocess.PIPE, **more)
    assert (done.returncode, done.stdout, file.read_text()) == (0, "done\n", "")


def test_a_refusal_is_one_line(capsys):
    def refuse(error):
        raise error

    for error, line in {
        ValueError("a value,\nits reason"): "error: a value, its reason\n",
        PermissionError(13, "Permission denied", "a file"): "error: a file: Permission denied\n",
    }.items():
        assert ended(lambda error=error: refuse(error)) == 2
        assert capsys.readouterr().err == line
    with pytest.raises(ZeroDivisionError):  # a fault of ours is told as one
        ended(lambda: refuse(ZeroDivisionError()))


def test_the_handlers_are_as_before_once_it_has_ended():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert ended(lambda: say("done") or 0) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_interrupt_that_left_an_extensions_code_is_an_exit_code(tmp_path):
    """As when Ctrl-C comes while a library is imported that runs Python of its own."""
    (tmp_path / "interrupted.py").write_text(
        "import ctypes, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from setar_core.commands.console import ended\n"
        "def work():\n"
        '    ctypes.pythonapi.PyRun_SimpleString(b"raise KeyboardInterrupt")\n'
        "    raise KeyboardInterrupt\n"
        "sys.exit(ended(work))\n"
    )
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 130 and done.stderr.endswith("stopped\n")
