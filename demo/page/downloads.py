"""Files for a visitor to take away."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gradio.utils import get_upload_folder


def new_file(name: str) -> Path:
    """Where a download of that name may be written: among the uploads, and deleted with them."""
    uploads = Path(get_upload_folder())
    uploads.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="download-", dir=uploads)) / name
