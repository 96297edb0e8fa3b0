"""What is said of a zip as soon as it has come."""

import zipfile

from demo.page.notices import busy, notice, outlived
from demo.page.uploads import refused
from tests.demo.told import is_bad, words


def test_a_zip_that_cannot_be_taken_is_refused_at_once(tmp_path):
    broken, good = tmp_path / "broken.zip", tmp_path / "good.zip"
    broken.write_bytes(b"PK no zip")
    with zipfile.ZipFile(good, "w") as archive:
        for name in ("a.png", "b.png"):
            archive.writestr(name, b"x")
    assert "broken.zip" in words(refused(str(broken), 10, 10**6))
    assert is_bad(refused([str(good), str(broken)], 10, 10**6))
    assert is_bad(refused(str(good), 1, 10**6))  # too many
    assert refused(str(good), 10, 10**6) is refused(None, 10, 10**6) is None


def test_what_was_said_of_another_file_goes():
    going, wrong = busy("Scoring"), notice("broken.zip: is no zip", "bad")
    assert outlived([wrong, going]) == [going] and outlived(None) == []
