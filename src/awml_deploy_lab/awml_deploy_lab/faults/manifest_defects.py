"""Defects of the manifest, of engines and of the checkpoint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from awml_deploy_core.runtime.trt.cache import EngineCache
from awml_deploy_core.runtime.trt.key import EngineKey, EngineTarget
from awml_deploy_lab.faults.defect import Change, Defect
from awml_deploy_lab.faults.deployment import ENCODER, HEAD, PARAMETERS, Deployment


def _remove(name: str) -> Change:
    return lambda deployment: (deployment.bundle / name).unlink()


def _change_a_byte(deployment: Deployment) -> None:
    path = deployment.graph_path(HEAD)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _wrong_hash(deployment: Deployment) -> None:
    def change(manifest: dict[str, Any]) -> None:
        (record,) = (item for item in manifest["files"] if item["path"] == f"{ENCODER}.onnx")
        record["sha256"] = record["sha256"][::-1]

    deployment.edit_manifest(change)


def _narrow_profile(deployment: Deployment) -> None:
    def change(manifest: dict[str, Any]) -> None:
        encoder = manifest["components"][0]
        for side in ("inputs", "outputs"):
            encoder[side][0]["shape"][0] |= {"opt": 1000, "max": 2000}

    deployment.edit_manifest(change)


def _least_rows(deployment: Deployment) -> None:
    def change(manifest: dict[str, Any]) -> None:
        encoder = manifest["components"][0]
        for side in ("inputs", "outputs"):
            encoder[side][0]["shape"][0]["min"] = 10000

    deployment.edit_manifest(change)


def _other_weights(deployment: Deployment) -> None:
    path = deployment.folder / "checkpoint.pth"
    content = torch.load(path, weights_only=False)
    content["state_dict"]["pts_bbox_head.task_heads.0.heatmap.1.bias"] += 0.1
    path.unlink()
    torch.save(content, path)


def _engine(deployment: Deployment, onnx_sha256: str) -> Path:
    """An engine in the bundle's cache, as a build leaves it."""
    target = EngineTarget("tensorrt", "10.8.0", "NVIDIA RTX 6000 Ada Generation", "8.9")
    key = EngineKey(HEAD, onnx_sha256, "fp16", {}, target)
    cache = EngineCache(deployment.bundle)
    record = cache.store(key, b"engine", "{}", seconds=1.0, details={})
    deployment.edit_manifest(lambda manifest: manifest.update(engines=[record.model_dump(mode="json")]))
    return deployment.bundle / record.path


def _digest(deployment: Deployment) -> str:
    return hashlib.sha256(deployment.graph_path(HEAD).read_bytes()).hexdigest()


def sound_engine(deployment: Deployment) -> None:
    """An engine that was built from the bundle's graph, for a GPU that is not here."""
    _engine(deployment, _digest(deployment))


def _damaged_engine(deployment: Deployment) -> None:
    _engine(deployment, _digest(deployment)).write_bytes(b"engin")


MANIFEST_DEFECTS = (
    Defect(
        "a component's file is missing",
        "manifest",
        _remove(f"{HEAD}.onnx"),
        "load",
        (f"{HEAD}.onnx is missing",),
    ),
    Defect(
        "the vehicle's parameters are missing",
        "manifest",
        _remove(PARAMETERS),
        "load",
        (f"{PARAMETERS} is missing",),
    ),
    Defect(
        "a bit of a file flipped in a copy", "manifest", _change_a_byte, "load", (f"{HEAD}.onnx", "SHA-256")
    ),
    Defect(
        "the manifest has another hash", "manifest", _wrong_hash, "load", (f"{ENCODER}.onnx", "SHA-256")
    ),
    Defect(
        "the range of pillars that engines are built for is too small",
        "manifest",
        _narrow_profile,
        "bundle",
        ("input_features", "2000", "20000"),
    ),
    Defect(
        "the range of pillars does not start at one",
        "manifest",
        _least_rows,
        "bundle",
        ("input_features", "10000"),
    ),
    Defect(
        "the weights changed after the export",
        "checkpoint",
        _other_weights,
        "bundle",
        ("another checkpoint", "checkpoint.pth"),
    ),
    Defect(
        "an engine is stale: built from another ONNX file",
        "engine",
        lambda deployment: _engine(deployment, "0" * 64),
        "bundle",
        ("engines", HEAD, "another"),
    ),
    Defect("an engine is damaged", "engine", _damaged_engine, "bundle", ("engines", HEAD, "corrupt")),
)
