"""What AWML's keys are called here, apart from those of the model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from awml_deploy_core.awml_import.source import lookup
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import DeviceError

_BACKENDS = {"pytorch": "pytorch", "onnx": "onnxruntime", "tensorrt": "tensorrt"}
"""Our name of every backend of AWML."""
_SAME_VALUE = {
    "checkpoint_path": "checkpoint_path",
    "export.checkpoint_path": "checkpoint_path",
    "export.work_dir": "work_dir",
    "export.mode": "export.mode",
    "onnx_config.opset_version": "export.onnx.opset_version",
    "onnx_config.do_constant_folding": "export.onnx.constant_folding",
    "onnx_config.simplify": "export.onnx.simplify",
    "verification.enabled": "verification.enabled",
    "verification.num_verify_samples": "verification.num_samples",
    "evaluation.enabled": "evaluation.enabled",
    "evaluation.num_samples": "evaluation.num_samples",
}
"""Our key by AWML's, where the value stays as it is."""
_PATHS = frozenset({"checkpoint_path", "work_dir", "bundle_path"})
_PRECISIONS = {"auto": "tf32", "fp32_tf32": "tf32", "fp16": "fp16", "strongly_typed": "fp32"}
"""Our precision by AWML's policy: `auto` sets no flag, which leaves TensorRT at TF32."""
_ARTIFACTS = ("checkpoint", "model_dir", "engine_dir")
"""What AWML names for an evaluated backend."""
_MIB = 2**20
_ALWAYS = {
    "onnx_config.type": "this suite has one exporter of ONNX",
    "onnx_config.export_params": "weights are always in the ONNX file",
    "onnx_config.keep_initializers_as_inputs": "weights are never inputs",
    "onnx_config.multi_file": "follows from the model family",
    "runtime_io.sample_idx": "samples are chosen by verification.num_samples and verification.seed",
    "verification.tolerance": "limits belong to a precision and an output: verification.tolerances",
    "evaluation.verbose": "reports hold every figure; how much is logged is logging.level",
    "deploy_log_path": "log lines go to standard error; redirect them",
}


class Mapper:
    """Maps one deploy configuration.

    Args:
        deploy: Its values.
        root: Folder that AWML's relative paths start from.
        data_root: Folder of the data set by the model's configuration, where it is known.
        backends: Names of the installed backends.
    """

    def __init__(
        self, deploy: Mapping[str, Any], root: Path, data_root: str | None, backends: tuple[str, ...]
    ) -> None:
        self._deploy = deploy
        self._root = root
        self._data_root = data_root
        self._backends = backends
        self.content: dict[str, Any] = {}
        """Our configuration, nested."""
        self.targets: dict[str, str] = {}
        """Our key by AWML's."""
        self.notes: dict[str, str] = {}
        """What has to be known of a key."""

    def run(self) -> None:
        """Map everything that has a counterpart."""
        for key, target in _SAME_VALUE.items():
            value = lookup(self._deploy, key)
            if value is not None:
                self._set(key, target, self._path(value) if target in _PATHS else value)
        self.notes |= {key: note for key, note in _ALWAYS.items() if lookup(self._deploy, key) is not None}
        self._export()
        self._tensorrt()
        self._samples()
        self._scenarios()
        self._evaluated()
        work_dir = lookup(self._deploy, "export.work_dir")
        name = Path(work_dir).name if isinstance(work_dir, str) else "imported"
        self.content["name"] = re.sub(r"[^A-Za-z0-9_.+-]", "_", name).lstrip("_.+-") or "imported"
        self.content.setdefault("work_dir", self._path("work_dirs"))

    def _set(self, key: str, target: str, value: Any) -> None:
        section = self.content
        *parents, last = target.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
        self.targets[key] = target

    def _path(self, written: Any) -> Any:
        """An absolute path; anything but text is left to the validation."""
        return (
            str((self._root / Path(written).expanduser()).resolve())
            if isinstance(written, str)
            else written
        )

    def _export(self) -> None:
        onnx_path = lookup(self._deploy, "export.onnx_path")
        if isinstance(onnx_path, str) and onnx_path:
            folder = str(Path(onnx_path).parent) if onnx_path.endswith(".onnx") else onnx_path
            self._set("export.onnx_path", "bundle_path", self._path(folder))

    def _tensorrt(self) -> None:
        for section in ("tensorrt_config", "backend_config.common_config"):
            policy = lookup(self._deploy, f"{section}.precision_policy")
            if policy in _PRECISIONS:
                self._set(f"{section}.precision_policy", "export.tensorrt.precision", _PRECISIONS[policy])
            size = lookup(self._deploy, f"{section}.max_workspace_size")
            if isinstance(size, int) and size >= _MIB:
                self._set(f"{section}.max_workspace_size", "export.tensorrt.workspace_mib", size // _MIB)

    def _samples(self) -> None:
        """An info file, or the older generation's COCO annotations with the folder of the images."""
        annotations = lookup(self._deploy, "runtime_io.ann_file")
        if isinstance(annotations, str) and annotations:
            prefix = lookup(self._deploy, "runtime_io.img_prefix")
            source = self._path(annotations)
            source += f"?root={self._path(prefix)}" if isinstance(prefix, str) and prefix else ""
            self._set_source("runtime_io.ann_file", source)
            if prefix is not None:
                self.targets["runtime_io.img_prefix"] = self.targets["runtime_io.ann_file"]
            return
        info = lookup(self._deploy, "runtime_io.info_file")
        if not isinstance(info, str) or not info:
            return
        root = self._root / (self._data_root or "")
        path = str((root / info).resolve())
        # Paths in an info file are relative to the data set.
        source = f"{path}?root={root.resolve()}" if self._data_root else path
        self._set_source("runtime_io.info_file", source)

    def _set_source(self, key: str, source: str) -> None:
        """Where samples come from; AWML's evaluation runs on the data set that they are of."""
        self._set(key, "verification.samples", [source])
        if isinstance(lookup(self._deploy, "evaluation"), Mapping):
            self._set(key, "evaluation.datasets", [source])
            self.targets[key] = "verification.samples, evaluation.datasets"

    def _evaluated(self) -> None:
        """The backends that AWML evaluates, as far as they are installed."""
        backends = lookup(self._deploy, "evaluation.backends")
        if not isinstance(backends, Mapping) or not backends:
            self.notes["evaluation.backends"] = "names no backend"
            return
        ours = []
        for name, section in backends.items():
            if not isinstance(section, Mapping):
                continue
            key = f"evaluation.backends.{name}"
            artifact = "checkpoint_path" if name == "pytorch" else "the bundle"
            self.notes |= {f"{key}.{part}": f"it runs {artifact}" for part in _ARTIFACTS}
            backend = _BACKENDS.get(str(name), str(name))
            if not section.get("enabled", True):
                self.notes[key] = "left out: it is not enabled"
            elif backend not in self._backends:
                self.notes[key] = f"left out: backend {backend} is not installed"
            else:
                ours.append(f"{backend}:{self._device(section.get('device'))}")
                self.targets |= dict.fromkeys((f"{key}.enabled", f"{key}.device"), "evaluation.backends")
        if ours:
            self._set("evaluation.backends", "evaluation.backends", ours)
            del self.targets["evaluation.backends"]

    def _scenarios(self) -> None:
        scenarios = lookup(self._deploy, "verification.scenarios")
        if not isinstance(scenarios, Mapping):
            return
        for mode, chosen in scenarios.items():
            if isinstance(chosen, list | tuple) and chosen:
                self._scenarios_of(str(mode), chosen)
            else:
                self.notes[f"verification.scenarios.{mode}"] = "names no scenario"
        for name in ("devices", "verification.devices"):
            if isinstance(lookup(self._deploy, name), Mapping):
                self.notes[name] = "looked up for the devices of scenarios and backends"

    def _scenarios_of(self, mode: str, chosen: Sequence[Any]) -> None:
        """Those of one export mode, as far as their backends are installed."""
        key, target = f"verification.scenarios.{mode}", f"verification.scenarios_by_mode.{mode}"
        ours = []
        for index, scenario in enumerate(chosen):
            sides = {}
            for side, prefix in (("reference", "ref"), ("test", "test")):
                backend = lookup(scenario, f"{prefix}_backend") if isinstance(scenario, Mapping) else None
                device = lookup(scenario, f"{prefix}_device") if isinstance(scenario, Mapping) else None
                sides[side] = f"{_BACKENDS.get(str(backend), backend)}:{self._device(device)}"
            absent = {side.partition(":")[0] for side in sides.values()} - {*self._backends}
            if absent:
                self.notes[f"{key}.{index}"] = (
                    f"left out: backend {', '.join(sorted(absent))} is not installed"
                )
            else:
                ours.append(sides)
                self.targets[f"{key}.{index}"] = target
        if ours:
            self._set(key, target, ours)
            del self.targets[key]

    def _device(self, alias: Any) -> str:
        """``cuda`` and the like by the tables of the file, ``cpu`` where nothing is said."""
        for table in ("verification.devices", "devices"):
            named = lookup(self._deploy, f"{table}.{alias}")
            if isinstance(named, str):
                alias = named
                break
        try:
            return str(DeviceSpec.parse(str(alias or "cpu")))
        except DeviceError:
            # The validation of the whole says where it is and what is expected.
            return str(alias)
