"""The GPU through cuda-python: memory, streams, events, graphs, and kernels compiled by NVRTC.

Importing it needs no cuda-python; opening a :class:`CudaContext` does.
"""

from awml_deploy_core.runtime.cuda.context import CudaContext, drain, to_host
from awml_deploy_core.runtime.cuda.driver import cuda_python_problem
from awml_deploy_core.runtime.cuda.graph import CudaGraph, capture
from awml_deploy_core.runtime.cuda.kernels import KernelSource, compile_kernels
from awml_deploy_core.runtime.cuda.launch import BoundKernel, Kernel, KernelModule, LoadModule
from awml_deploy_core.runtime.cuda.memory import DeviceBuffer, DeviceSpan, PinnedBuffer

__all__ = [
    "BoundKernel",
    "CudaContext",
    "CudaGraph",
    "DeviceBuffer",
    "DeviceSpan",
    "Kernel",
    "KernelModule",
    "KernelSource",
    "LoadModule",
    "PinnedBuffer",
    "capture",
    "compile_kernels",
    "cuda_python_problem",
    "drain",
    "to_host",
]
