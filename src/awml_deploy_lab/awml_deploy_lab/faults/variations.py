"""What differs between machines, exports and configurations without being a defect."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from awml_deploy_core.runtime import onnxruntime_backend
from awml_deploy_lab.evaluation.held_out import held_out_frames
from awml_deploy_lab.faults import graphs
from awml_deploy_lab.faults.defect import Change, Variation
from awml_deploy_lab.faults.deployment import ENCODER, HEAD, SHIPPED, Deployment, save_clouds
from awml_deploy_lab.faults.graphs import Array
from awml_deploy_lab.faults.manifest_defects import sound_engine
from awml_deploy_lab.faults.weight_defects import STAGE, as_fp16, stretch, within

OTHER_SEEDS = (910_000_000, 920_000_000, 930_000_000)
_LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED")
_ULP = 2.0**-23


def _set(*settings: str) -> Change:
    return lambda deployment: deployment.settings.extend(settings)


def _clouds(frames: Any) -> Change:
    def change(deployment: Deployment) -> None:
        folder = deployment.folder / "clouds"
        folder.unlink()
        save_clouds(folder, frames())

    return change


def _other_scenes(seed: int) -> Change:
    return _clouds(lambda: [frame for _, frame, _ in held_out_frames(2, 0, seed)])


def _sparse(deployment: Deployment) -> None:
    """A tenth of the points of each cloud."""
    _change_clouds(deployment, lambda points: points[::10])


def _shuffled(deployment: Deployment) -> None:
    """The points of each cloud in another order."""
    _change_clouds(deployment, np.random.default_rng(0).permutation)


def _change_clouds(deployment: Deployment, change: Callable[[Array], Array]) -> None:
    source = sorted((deployment.sound / "clouds").iterdir())
    folder = deployment.folder / "clouds"
    folder.unlink()
    folder.mkdir()
    for path in source:
        np.save(folder / path.name, change(np.load(path)))


def _optimisation(level: str) -> Change:
    """Another level of graph optimisation, and so other fused operators."""

    def plant(deployment: Deployment) -> None:
        chosen = getattr(onnxruntime.GraphOptimizationLevel, level)
        deployment.replace_code(onnxruntime.GraphOptimizationLevel, "ORT_ENABLE_ALL", lambda _: chosen)

    return plant


def _rounding(ulps: float, *components: str) -> Change:
    """Outputs as another order of summation rounds them: noise of some ulps of the tensor's scale.

    Measured are none to two of the encoder, which is three products, and up to 70 of the head, which is
    some thirty convolutions deep.
    """
    rng = np.random.default_rng(0)

    def wrap(original: Any) -> Any:
        noise: dict[tuple[int, ...], Array] = {}

        def run(self: Any, inputs: Any) -> dict[str, Array]:
            found: dict[str, Array] = original(self, inputs)
            if self.spec.name not in components:
                return found
            rounded = {}
            for name, values in found.items():
                if values.shape not in noise:
                    noise[values.shape] = rng.uniform(-ulps, ulps, values.shape).astype(np.float32)
                scale = np.float32(_ULP * float(np.abs(values).max(initial=0.0)))
                # A ReLU's zeros are exact on every machine.
                rounded[name] = np.where(values == 0, values, values + scale * noise[values.shape])
            return rounded

        return run

    return lambda deployment: deployment.replace_code(onnxruntime_backend.OnnxRuntimeSession, "run", wrap)


def _renamed(model: onnx.ModelProto) -> None:
    """Internal tensors and nodes have other names."""
    kept = {value.name for value in (*model.graph.input, *model.graph.output)}
    kept |= {tensor.name for tensor in model.graph.initializer}
    for index, node in enumerate(model.graph.node):
        node.name = f"operator_{index}"
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = name if name in kept or not name else f"tensor_{name}"


def _renamed_weights(model: onnx.ModelProto) -> None:
    names = {tensor.name: f"weight_{index}" for index, tensor in enumerate(model.graph.initializer)}
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)


def _constants_as_nodes(model: onnx.ModelProto) -> None:
    """Weights are nodes, as some tools write them."""
    for tensor in reversed(model.graph.initializer):
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del model.graph.initializer[:]


def _unfused(model: onnx.ModelProto) -> None:
    """Biases are added by operators of their own."""
    for node in [node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose")]:
        bias = next(item for item in model.graph.initializer if item.name == node.input[2])
        values = numpy_helper.to_array(bias).reshape(1, -1, 1, 1)
        bias.CopyFrom(numpy_helper.from_array(values, bias.name))
        inner, outer = f"{node.output[0]}_without_bias", node.output[0]
        node.output[0] = inner
        added = helper.make_node("Add", [inner, node.input[2]], [outer], name=f"{node.name}_bias")
        del node.input[2]
        model.graph.node.insert(list(model.graph.node).index(node) + 1, added)


def _unfolded_norm(model: onnx.ModelProto) -> None:
    """A convolution and a normalisation behind it, neither folded into the other."""
    name, rng = "pts_backbone.blocks.1.3.weight", np.random.default_rng(0)
    node = next(node for node in model.graph.node if name in node.input)
    count = node_channels(model, name)
    scale = rng.uniform(0.5, 2.0, count).astype(np.float32)
    mean = rng.normal(size=count).astype(np.float32)
    graphs.weights(name, lambda values: values / scale.reshape(-1, 1, 1, 1))(model)
    graphs.weights(f"{name}_bias", lambda values: values / scale + mean)(model)
    parts = {"scale": scale, "shift": np.zeros_like(scale), "mean": mean, "variance": np.ones_like(scale)}
    for part, values in parts.items():
        model.graph.initializer.append(numpy_helper.from_array(values, f"norm.{part}"))
    inner, outer = f"{node.output[0]}_inner", node.output[0]
    node.output[0] = inner
    inputs = [inner, *(f"norm.{part}" for part in parts)]
    norm = helper.make_node("BatchNormalization", inputs, [outer], name="norm", epsilon=0.0)
    model.graph.node.insert(list(model.graph.node).index(node) + 1, norm)


def node_channels(model: onnx.ModelProto, weight: str) -> int:
    """First dimension of a weight."""
    return int(next(item.dims[0] for item in model.graph.initializer if item.name == weight))


def _identities(model: onnx.ModelProto) -> None:
    for weight in (STAGE, "pts_bbox_head.shared_conv.conv.weight"):
        maker = graphs.after(weight)(model)
        output = maker.output[0]
        maker.output[0] = f"{output}_inner"
        copy = helper.make_node("Identity", [f"{output}_inner"], [output], name=f"identity_{output}")
        model.graph.node.insert(list(model.graph.node).index(maker) + 1, copy)


def _permuted_channels(model: onnx.ModelProto) -> None:
    """Inner channels in another order: sums are in another order too."""
    order = np.random.default_rng(0).permutation(64)
    first, second = "pts_backbone.blocks.1.3.weight", "pts_backbone.blocks.1.6.weight"
    for name in (first, f"{first}_bias"):
        graphs.weights(name, lambda values: values[order])(model)
    graphs.weights(second, lambda values: values[:, order])(model)


def _external_weights(deployment: Deployment) -> None:
    """Doubles that are cast to float: another way to store the same weights."""

    def change(model: onnx.ModelProto) -> None:
        name = "pts_backbone.blocks.1.6.weight"
        graphs.weights(name, lambda values: values)(model)
        tensor = next(item for item in model.graph.initializer if item.name == name)
        values = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}_double"))
        cast = helper.make_node("Cast", [f"{name}_double"], [name], name="cast", to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)

    deployment.edit_graph(HEAD, change)


def _shipped(deployment: Deployment) -> None:
    """The bundle of the repository, exported with other versions on another machine."""
    shutil.rmtree(deployment.bundle)
    shutil.copytree(deployment.sound / SHIPPED, deployment.bundle)


def _padded_rows(deployment: Deployment) -> None:
    """Pillars padded with zeros to a fixed number, as for an encoder of a fixed size."""
    from awml_extractors.centerpoint.pillars import Voxelizer

    def wrap(original: Any) -> Any:
        def init(self: Any, config: Any, *, max_voxels: Any = None, min_rows: int = 0) -> None:
            original(self, config, max_voxels=max_voxels, min_rows=8000)

        return init

    deployment.replace_code(Voxelizer, "__init__", wrap)


VARIATIONS = (
    Variation("nothing", lambda deployment: None),
    *(Variation(f"other scenes (seed {seed})", _other_scenes(seed)) for seed in OTHER_SEEDS),
    Variation("a tenth of the points", _sparse),
    Variation("points in another order", _shuffled),
    Variation(
        "one sample, chosen by another seed", _set("verification.num_samples=1", "verification.seed=7")
    ),
    *(Variation(f"graph optimisation {level}", _optimisation(level)) for level in _LEVELS),
    Variation("two threads", _set("runtime.num_threads=2")),
    Variation("outputs rounded otherwise by 4 ulps of their scale", _rounding(4.0, ENCODER, HEAD)),
    Variation("outputs of the head rounded otherwise by 100 ulps of their scale", _rounding(100.0, HEAD)),
    Variation("internal tensors have other names", within(HEAD, _renamed)),
    Variation("weights have other names", within(HEAD, _renamed_weights)),
    Variation("weights are nodes", within(ENCODER, _constants_as_nodes)),
    Variation("biases are added by operators of their own", within(HEAD, _unfused)),
    Variation("a normalisation is not folded", within(HEAD, _unfolded_norm)),
    Variation("operators that do nothing", within(HEAD, _identities)),
    Variation("inner channels in another order", within(HEAD, _permuted_channels)),
    Variation("large numbers between two layers", within(HEAD, stretch)),
    Variation("weights stored as doubles", _external_weights),
    Variation("half precision of the head, recorded", lambda deployment: as_fp16(deployment, HEAD)),
    Variation(
        "half precision of both components, recorded",
        lambda deployment: [as_fp16(deployment, name) for name in (ENCODER, HEAD)],
    ),
    Variation("the shipped bundle: another export of the same checkpoint", _shipped),
    Variation("pillars padded to 8000 rows", _padded_rows),
    Variation("an engine of the present file, for a GPU that is not here", sound_engine),
    Variation(
        "PyTorch against itself",
        _set('verification.scenarios=[{reference: "pytorch:cpu", test: "pytorch:cpu"}]'),
    ),
    Variation(
        "without the checkpoint, ONNX Runtime against itself",
        lambda deployment: (
            (deployment.folder / "checkpoint.pth").unlink(),
            deployment.settings.append(
                'verification.scenarios=[{reference: "onnxruntime:cpu", test: "onnxruntime:cpu"}]'
            ),
        ),
    ),
)
