"""Where the tests find what is not installed."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
