"""CUDA kernels compiled by g++ and run on the CPU, for tests without a GPU."""

from cuda_emulation.device import EmulatedContext, ReplayedCalls
from cuda_emulation.emulated import EmulatedKernels, emulate

__all__ = ["EmulatedContext", "EmulatedKernels", "ReplayedCalls", "emulate"]
