"""The endpoints as tools, called by the client of the mcp package over streamable HTTP."""

import ast
import asyncio
import base64

import httpx
import pytest
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from demo.server.shipped import examples

FOX = examples()[0]


def with_session(address: str, talk):
    """What the coroutine `talk` returns, over one session."""

    async def session():
        async with (
            streamable_http_client(f"{address}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as client,
        ):
            await client.initialize()
            return await talk(client)

    return asyncio.run(session())


@pytest.fixture
def call(served):
    """Calls one tool."""
    return lambda name, **given: with_session(served, lambda on: on.call_tool(name, given))


def answer(result: CallToolResult):
    (content,) = result.content
    assert not result.isError, content.text
    return ast.literal_eval(content.text)


def as_text(path) -> str:
    return f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"


def test_the_endpoints_are_the_tools_and_say_what_they_take(served):
    tools = {tool.name: tool for tool in with_session(served, lambda on: on.list_tools()).tools}
    assert set(tools) == {"verdict", "scores", "spectrum", "negatives", "recipes", "label_sets"}
    for tool in tools.values():
        assert tool.description
        for name, parameter in tool.inputSchema["properties"].items():
            assert parameter["description"], f"{tool.name}: {name}"
    assert tools["verdict"].inputSchema["required"] == ["images"]


def test_a_tool_says_what_the_endpoint_says(served, call):
    client = Client(served, verbose=False)
    sent = handle_file(FOX)
    plain = client.predict([sent], score="gl_mcm", api_name="/verdict")
    said = answer(call("verdict", images=[as_text(FOX)], score="gl_mcm"))
    assert said["images"][0].pop("image") == "image-1"
    assert plain["images"][0].pop("image") == FOX.name
    assert said == plain
    assert answer(call("label_sets")) == client.predict(api_name="/label_sets")


def test_a_file_that_an_agent_uploaded_is_judged(served, call):
    """As the `upload_file_to_gradio` tool of `gradio upload-mcp` does."""
    with FOX.open("rb") as file:
        (path,) = httpx.post(f"{served}gradio_api/upload", files={"files": file}).json()
    said = answer(call("scores", images=[f"{served}gradio_api/file={path}"]))
    assert said["images"][0]["image"] == FOX.name


@pytest.mark.parametrize("file", ["http://127.0.0.1:1/x.png", "/etc/hostname", "data:,x"])
def test_what_a_tool_refuses_it_explains(call, file):
    result = call("verdict", images=[file])
    assert result.isError
    assert "uploaded" in result.content[0].text or "base64" in result.content[0].text
