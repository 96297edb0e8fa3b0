"""The door: what it takes from the command line."""

import sys

import pytest

import app


def test_a_folder_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit):
        app.arguments(["--data", "no/such/folder"])
    assert "no such folder" in capsys.readouterr().err


def test_all_of_the_start_is_handed_on(monkeypatch):
    """The page is served as the command line says, and the savings come first."""
    done = []
    monkeypatch.setattr(sys, "argv", ["app.py", "--port", "7999"])
    monkeypatch.setattr(app.startup, "hurry", lambda: done.append("hurry"))

    class Served:
        def block_thread(self):
            done.append("wait")

    monkeypatch.setattr(
        app, "start", lambda asked: done.append(asked.port) or Served()
    )
    app.main()
    assert done == ["hurry", 7999, "wait"]
