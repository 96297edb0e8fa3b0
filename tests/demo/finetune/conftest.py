"""Pictures to train on."""

import zipfile

import pytest


@pytest.fixture(scope="module")
def zipped(golden, tmp_path_factory):
    """Six pictures of each of four labels: every fifth is held."""
    path = tmp_path_factory.mktemp("zip") / "mine.zip"
    folders = sorted(f for f in (golden / "clip" / "images").iterdir() if f.is_dir())
    pictures = [next(folder.iterdir()) for folder in folders]
    with zipfile.ZipFile(path, "w") as archive:
        for i, folder in enumerate(folders[:4]):
            for j in range(6):
                archive.write(pictures[6 * i + j], f"{folder.name}/{j}.png")
        archive.writestr(f"{folders[0].name}/broken.png", b"no picture")
    return str(path), "\n".join(folder.name for folder in folders[:4])
