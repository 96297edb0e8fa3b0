"""What a program sends that no page does: each event answers, or refuses in a sentence."""

import json

import httpx
import pytest

FORGED = {
    "nothing": None,
    "half a character": "\ud800",
    "an object": {"a": [1]},
    "a list": [[], {}, None],
    "a negative": -1,
    "a giant": 10**30,
    "a path": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    "markup": '<img src=x onerror="alert(1)">' * 3000,
}


@pytest.fixture(scope="module")
def page(served):
    with httpx.Client(base_url=f"{served}gradio_api/", timeout=600) as client:
        yield client, client.get(f"{served}config").json()


def answers(client, function, data, event):
    """How each event of a function ends: the message of the stream."""
    asked = {"data": data, "fn_index": function, "session_hash": "forged", "event_data": event}
    head = {"content-type": "application/json"}
    sent = client.post("queue/join", content=json.dumps(asked), headers=head)
    if sent.status_code != 200:
        return [sent.json()]
    with client.stream("GET", "queue/data", params={"session_hash": "forged"}) as stream:
        told = (json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:"))
        return [m for m in told if m["msg"] in ("process_completed", "unexpected_error")]


OFTEN = {"a path", "an object", "half a character"}


@pytest.mark.parametrize(
    "kind",
    [kind if kind in OFTEN else pytest.param(kind, marks=pytest.mark.long) for kind in FORGED],
)
def test_what_no_page_sends_is_refused_in_a_sentence(kind, page, capfd):
    client, config = page
    value = FORGED[kind]
    for function in config["dependencies"]:
        if not function["backend_fn"]:
            continue
        data = [value] * len(function["inputs"])
        event = value if kind != "an object" else {"index": value, "site": value, "ratio": value}
        for answer in answers(client, function["id"], data, event):
            refused = answer.get("detail") or (
                not answer.get("success") and answer["output"].get("error")
            )
            assert answer.get("success") or refused, (function["api_name"], answer)
            assert len(str(refused)) < 1000, function["api_name"]
    assert "Traceback" not in "".join(capfd.readouterr())
