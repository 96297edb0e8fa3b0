"""What may be sent as a file: an upload, or its content; all else is refused with a sentence.

By raw requests, since a program need not send what gradio_client would.
"""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from gradio.utils import get_upload_folder

from demo.server.shipped import examples

META = {"meta": {"_type": "gradio.FileData"}}
FOX = examples()[0]


@pytest.fixture
def ask(served, capfd):
    """The answer of an endpoint to raw values, or its refusal as text; no traceback is logged."""

    def ask(*given, name="scores"):
        call = f"{served}gradio_api/call/{name}"
        event = httpx.post(call, json={"data": [*given]}).json()["event_id"]
        *_, kind, said = httpx.get(f"{call}/{event}", timeout=300).text.strip().split("\n")
        said = json.loads(said.removeprefix("data: "))
        return said[0] if kind == "event: complete" else said["error"]

    yield ask
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.fixture
def sent(ask):
    """What becomes of these images under the usual settings."""
    return lambda images: ask(images, "animals", "a photo of a {}", "emoji", "none", 1, 1)


@pytest.fixture
def upload(served) -> str:
    with FOX.open("rb") as file:
        return httpx.post(f"{served}gradio_api/upload", files={"files": file}).json()[0]


@pytest.fixture
def stranger(tmp_path) -> Path:
    """A picture that nobody uploaded."""
    path = tmp_path / "secret.webp"
    path.write_bytes(FOX.read_bytes())
    return path


def climb(upload: str, stranger: Path) -> str:
    """From the upload's folder up to the root and down to the other."""
    return str(Path(upload).parent) + "/.." * len(Path(upload).parent.parts) + str(stranger)


@pytest.fixture
def link(upload, stranger):
    path = Path(upload).parent / "link.webp"
    path.symlink_to(stranger)
    yield str(path)
    path.unlink()


@pytest.mark.parametrize("meta", [{}, META], ids=["without meta", "with meta"])
def test_an_upload_is_taken(sent, upload, meta):
    assert [image["image"] for image in sent([{"path": upload, **meta}])["images"]] == [FOX.name]


def test_an_upload_is_taken_by_its_plain_path_and_by_its_address(sent, served, upload):
    address = f"{served}gradio_api/file={upload}"
    assert len(sent([upload, address, {"path": address, **META}])["images"]) == 3


def test_content_is_taken_and_not_kept(sent):
    text = base64.b64encode(FOX.read_bytes()).decode()
    before = set(Path(get_upload_folder()).rglob("*"))
    answer = sent([f"data:image/webp;base64,{text}", "data:;base64,AAAA"])
    assert [image["image"] for image in answer["images"]] == ["image-1"]
    assert answer["problems"][0].startswith("image-2")
    assert set(Path(get_upload_folder()).rglob("*")) == before


@pytest.mark.parametrize("meta", [{}, META], ids=["without meta", "with meta"])
def test_another_path_is_refused(sent, upload, stranger, link, meta):
    for path in (str(stranger), climb(upload, stranger), link):
        assert "not uploaded here" in sent([{"path": path, **meta}]), path
    assert "not uploaded here" in sent([{"path": str(stranger), "is_stream": True, **meta}])


def test_another_plain_path_is_refused(sent, served, upload, stranger, link):
    for path in (str(stranger), climb(upload, stranger), link, "", "~", "a\0b", "x" * 5000):
        assert "not uploaded here" in sent([path]), path
        assert "not uploaded here" in sent([f"{served}gradio_api/file={path}"]), path


@pytest.fixture
def elsewhere():
    """The address of another server, and what it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/fox.webp", asked
    server.shutdown()
    server.server_close()


def test_no_address_is_fetched(sent, monkeypatch, upload, elsewhere):
    address, asked = elsewhere
    # Gradio's own guard would already stop at this machine; here any address counts as public.
    monkeypatch.setattr("safehttpx.is_public_ip", lambda ip: True)
    for image in (address, {"path": address}, {"path": address, **META}):
        assert "not uploaded here" in sent([image])
    assert "no file" in sent([{"url": address}])
    assert len(sent([{"path": upload, "url": address, **META}])["images"]) == 1
    assert not asked


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (None, "no image"),
        ("fox.webp", "a list of files"),
        ({"path": "fox.webp"}, "a list of files"),
        ([None], "no file"),
        ([5], "no file"),
        ([[]], "no file"),
        ([{"path": 5, **META}], "no file"),
        ([{"path": "fox.webp", "meta": None}], "meta"),
        (["data:image/png;base64,not base64"], "base64"),
        ([""] * 201, "not uploaded here"),
        (["data:;base64,"] * 201, "201 files are too many"),
    ],
)
def test_what_is_no_file_is_refused(sent, images, said):
    assert said in sent(images)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({1: 5}, "labels is 5; give text"),
        ({4: {"ratios": {}}}, "recipe is"),
        ({4: "[" * 100_000}, "recipe"),
        ({5: "hot"}, "temperature is 'hot'; give a number"),
        ({6: True}, "local_weight is True; give a number"),
    ],
)
def test_another_type_is_refused(ask, upload, given, said):
    usual = [[upload], "animals", "a photo of a {}", "emoji", "none", 1, 1]
    assert said in ask(*(given.get(place, value) for place, value in enumerate(usual)))


def test_too_few_values_are_refused(ask, upload):
    assert "enough input values" in ask([upload])
