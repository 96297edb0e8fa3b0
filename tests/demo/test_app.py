"""The door: what it takes from the command line."""

import sys

import pytest

import app


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
        def block_thread(self):
            done.append("wait")

    monkeypatch.setattr(
        app, "start", lambda asked: done.append((asked.port, asked.mcp)) or Served()
    )
    app.main()
    assert done == ["hurry", (7999, False), "wait"]
