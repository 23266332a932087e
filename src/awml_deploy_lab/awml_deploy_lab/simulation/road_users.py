"""Kinds of road users."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from awml_deploy_lab.simulation.people import cyclist, pedestrian
from awml_deploy_lab.simulation.primitives import Body
from awml_deploy_lab.simulation.vehicles import bus, car, truck

CLASS_NAMES = ("CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN")
"""Labels of road users, in Autoware's order; a motorcyclist is a BICYCLE."""
CAR, TRUCK, BUS, BICYCLE, PEDESTRIAN = range(5)
STATIC = -1
"""Label of what is no road user."""

MAKERS: tuple[Callable[[np.random.Generator, float], Body], ...] = (car, truck, bus, cyclist, pedestrian)
"""Maker of a random road user by label."""
