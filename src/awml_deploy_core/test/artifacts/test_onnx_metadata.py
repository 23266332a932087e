from __future__ import annotations

from pathlib import Path

import pytest

from awml_deploy_core.artifacts.onnx_metadata import read_metadata
from awml_deploy_core.errors import ArtifactError


@pytest.fixture
def known(conv_file: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "known.onnx"
    copy.write_bytes(conv_file.read_bytes())
    return copy


def test_it_reads_what_onnx_reads(known: Path) -> None:
    onnx = pytest.importorskip("onnx")
    expected = {item.key: item.value for item in onnx.load(str(known)).metadata_props}
    assert read_metadata(known) == expected
    assert expected["convention"] == "wlh"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_says_so(known: Path, share: float) -> None:
    content = known.read_bytes()
    known.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ArtifactError, match="is truncated or no ONNX file"):
        read_metadata(known)


@pytest.mark.parametrize("content", [b"corrupt", b"\xff" * 40, b"PK\x03\x04 a zip file"])
def test_other_content_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="is truncated or no ONNX file"):
        read_metadata(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_metadata(tmp_path / "none.onnx")
