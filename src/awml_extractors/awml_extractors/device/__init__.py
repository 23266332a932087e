"""What model families share on the GPU."""

from pathlib import Path

HEADERS = Path(__file__).parent / "kernels"
"""Folder of the headers that the kernels of several families include."""

__all__ = ["HEADERS"]
