"""What several tests of the core ask for."""

import pytest

from setar_core.backbones import load_backbone
from setar_core.data.sets import ImageSet
from setar_core.labels import LabelSet
from tests.threads import threads


@pytest.fixture(scope="module")
def clip(golden):
    """The tiny CLIP, as it was made."""
    return load_backbone(f"local-dir:{golden / 'clip'}")


@pytest.fixture(scope="module")
def labels(golden):
    """Its 40 classes."""
    return LabelSet.load(golden / "clip" / "labels.json")


@pytest.fixture(scope="module")
def images(golden, labels):
    """A picture of each."""
    return ImageSet.from_folder(golden / "clip" / "images", labels=labels)


@pytest.fixture(scope="module")
def paths(images):
    return list(images.paths())


@pytest.fixture(scope="module")
def one_thread():
    """Small matrices are quicker in one, and sums of several threads are rounded otherwise."""
    with threads(1):
        yield
