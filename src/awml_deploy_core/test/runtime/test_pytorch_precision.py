"""Precision of the PyTorch backend; FP16 itself runs on CUDA."""

from __future__ import annotations

from typing import Any

import pytest

from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ParameterError
from awml_deploy_core.runtime import SessionOptions, SessionSource
from awml_deploy_core.runtime.pytorch_backend import PytorchBackend

torch = pytest.importorskip("torch")

SPEC = ComponentSpec("f", "f.onnx", (TensorSpec("x", (2, 3)),), (TensorSpec("y", (2, 3)),))


@pytest.mark.parametrize(
    ("extra", "text"),
    [({"precision": "fp16"}, "'fp16'; expected fp32"), ({"half": True}, "unknown option; got half")],
)
def test_an_option_that_the_device_does_not_know(extra: dict[str, Any], text: str) -> None:
    options = SessionOptions(extra={"pytorch": extra})
    with pytest.raises(ParameterError, match=text):
        PytorchBackend().open_session(SessionSource(SPEC, load_module=torch.nn.Identity), CPU, options)


def test_half_precision_keeps_the_boundary_in_float32() -> None:
    from awml_deploy_core.runtime.pytorch_cuda import half_precision

    module = half_precision(torch.nn.Conv2d(3, 2, 1)).eval()
    with torch.inference_mode():
        (value,) = module(torch.ones(1, 3, 4, 4))
    assert value.dtype == torch.float32
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float16}
