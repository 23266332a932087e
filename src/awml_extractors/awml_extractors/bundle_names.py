"""Names of files in a bundle."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
OnnxFile = Annotated[str, Field(pattern=rf"^({_NAME}/)*{_NAME}\.onnx$")]
"""A path that stays inside the bundle and cannot be that of one of its other files."""
