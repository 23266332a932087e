"""Inputs that exercise what samples may leave at rest.

A channel that is constant in every sample, like the time lag of clouds without past sweeps, hides what
a component makes of it: its weights could be anything. So each component is also compared on its own
input with noise on every value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_SEED = 20240


def stirred(inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """A component's inputs with normal noise of their own root mean square on every value.

    The same inputs give the same result. What is not of floating point stays as it is.
    """
    rng = np.random.default_rng(_SEED)
    found = {}
    for name, values in inputs.items():
        if values.dtype.kind != "f" or not values.size:
            found[name] = values
            continue
        flat = values.ravel()
        size = float(np.sqrt(np.dot(flat, flat) / flat.size)) or 1.0
        noise = rng.standard_normal(values.shape, np.float32)
        found[name] = (values + np.float32(size) * noise).astype(values.dtype)
    return found
