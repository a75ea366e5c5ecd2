"""What a person sees: pages in headless Chromium."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")


def seen(url: str, profile: Path) -> str:
    """The document as Chromium built it from the page."""
    command = [
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", "--virtual-time-budget=2000", f"--user-data-dir={profile}"),
        *("--dump-dom", url),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
