"""What the tests of Detect ask for."""

import pytest

from demo.detect.handlers import DetectHandlers
from demo.server.library import Library


@pytest.fixture(scope="module")
def library():
    return Library()


@pytest.fixture
def handlers(library):
    return DetectHandlers(library)
