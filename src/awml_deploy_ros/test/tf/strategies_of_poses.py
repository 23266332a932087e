"""Random poses."""

import math

from hypothesis import strategies as st

from awml_deploy_ros.tf.pose import Pose, normalised

COORDINATES = st.floats(-1e4, 1e4)
COMPONENTS = st.floats(-1.0, 1.0)


@st.composite
def poses(draw: st.DrawFn) -> Pose:
    rotation = draw(st.tuples(*[COMPONENTS] * 4).filter(lambda q: math.hypot(*q) > 1e-3))
    return Pose(draw(st.tuples(*[COORDINATES] * 3)), normalised(rotation))
