"""Where the checkout lies, and the folder in it that holds everything that is fetched or built."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
