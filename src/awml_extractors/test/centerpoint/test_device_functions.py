"""Every function of the kernels' headers gives the CPU's bits, on an emulated GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cuda_emulation import emulate
from device_functions import ON_CPU, arguments_of, assert_same_bits, write_source


def test_the_same_bits(tmp_path: Path) -> None:
    kernels = emulate(write_source(tmp_path))
    for name, arguments in arguments_of(3000, 0).items():
        expected = ON_CPU[name](*arguments)
        out = np.empty_like(expected)
        kernels.launch(name, 1, 32, [*arguments, len(arguments[0]), out])
        assert_same_bits(out, expected, name)
