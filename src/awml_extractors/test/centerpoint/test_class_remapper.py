from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from awml_deploy_core.detections import Detections
from awml_extractors.centerpoint.class_remapper import (
    AUTOWARE_RULES,
    LABELS,
    ClassRemapper,
    RemapRule,
    default_rules,
    parameters,
    parse_parameters,
)

NAMES = ("CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN")


def detections(names: tuple[str, ...], rows: Any) -> Detections:
    """Boxes of rows class name, length, width."""
    n = len(rows)
    return Detections(
        np.zeros((n, 3), np.float32),
        np.array([(length, width, 1.0) for _, length, width in rows], np.float32).reshape(n, 3),
        np.zeros(n, np.float32),
        np.zeros((n, 2), np.float32),
        np.linspace(1, 0.5, n, dtype=np.float32),
        np.array([names.index(name) for name, _, _ in rows], np.int32),
        names,
    )


def remapped(rows: Any, rules: Any = AUTOWARE_RULES, names: tuple[str, ...] = NAMES) -> list[str]:
    remapper = ClassRemapper(names, rules)
    found = remapper.remap(detections(names, rows))
    assert found.class_names == remapper.class_names
    return [found.class_names[label] for label in found.labels]


def map_classes(label: int, length: float, width: float, matrices: dict[str, Any]) -> int:
    """Autoware's definition for one object, cell by cell; message dimensions are doubles."""
    area = np.float32(float(np.float32(length)) * float(np.float32(width)))
    allow, low, high = (
        np.array(matrices[f"{name}_matrix"], float).reshape(8, 8)
        for name in ("allow_remapping_by_area", "min_area", "max_area")
    )
    low, high = (np.where(np.isfinite(m), m, np.finfo(np.float64).max) for m in (low, high))
    for target in range(8):
        if (
            allow[label, target]
            and float(area) >= low[label, target]
            and float(area) <= high[label, target]
        ):
            return target
    return label


@pytest.mark.parametrize(
    ("name", "length", "width", "expected"),
    [
        ("CAR", 4.5, 1.9, "CAR"),
        ("CAR", 6.0, 2.5, "TRUCK"),
        ("CAR", 15.0, 2.5, "TRAILER"),
        ("TRUCK", 5.0, 2.0, "TRUCK"),
        ("TRUCK", 12.0, 2.5, "TRUCK"),
        ("TRUCK", 15.0, 2.5, "TRAILER"),
        ("BUS", 11.0, 2.5, "BUS"),
        ("BUS", 18.0, 2.5, "TRAILER"),
        ("BICYCLE", 20.0, 20.0, "BICYCLE"),
        ("PEDESTRIAN", 20.0, 20.0, "PEDESTRIAN"),
        ("CAR", 100.0, 10.0, "CAR"),
    ],
)
def test_autowares_rules(name: str, length: float, width: float, expected: str) -> None:
    assert remapped([(name, length, width)]) == [expected]


def test_limits_are_included_and_the_first_label_wins() -> None:
    # 36 m^2 fits both rules of a car.
    assert remapped([("CAR", 12.0, 3.0), ("TRUCK", 12.0, 3.0)]) == ["TRUCK", "TRAILER"]


def test_the_area_is_rounded_to_float32_before_it_is_compared() -> None:
    rule = [RemapRule(source="CAR", target="TRUCK", min_area=12.1, max_area=36.0)]
    below, above = np.float32(12.1), np.nextafter(np.float32(12.1), np.float32(13))
    assert float(below) > 12.1 or float(above) > 12.1
    assert remapped([("CAR", float(below), 1.0), ("CAR", float(above), 1.0)], rule) == [
        "TRUCK" if float(below) >= 12.1 else "CAR",
        "TRUCK",
    ]


def test_a_class_changes_once() -> None:
    rules = [
        RemapRule(source="CAR", target="TRUCK", min_area=10, max_area=100),
        RemapRule(source="TRUCK", target="BUS", min_area=10, max_area=100),
    ]
    assert remapped([("CAR", 10, 2), ("TRUCK", 10, 2)], rules) == ["TRUCK", "BUS"]


def test_scores_boxes_and_order_stay() -> None:
    before = detections(NAMES, [("CAR", 15, 2.5), ("BUS", 10, 2.5), ("CAR", 4, 2)])
    after = ClassRemapper(NAMES, AUTOWARE_RULES).remap(before)
    for field in ("centers", "sizes", "yaws", "velocities", "scores"):
        np.testing.assert_array_equal(getattr(after, field), getattr(before, field))
    assert before.labels.tolist() == [0, 2, 0]


def test_class_names_do_not_depend_on_the_frame() -> None:
    remapper = ClassRemapper(NAMES, AUTOWARE_RULES)
    assert remapper.class_names == (*NAMES, "TRAILER")
    for rows in ([], [("CAR", 4, 2)], [("CAR", 15, 2.5)]):
        assert remapper.remap(detections(NAMES, rows)).class_names == remapper.class_names


def test_classes_are_named_in_any_case_and_existing_ones_are_used() -> None:
    names = ("car", "trailer", "truck")
    assert remapped([("car", 15, 2.5), ("car", 6, 2.5)], names=names) == ["trailer", "truck"]
    assert ClassRemapper(names, AUTOWARE_RULES).class_names == names


def test_a_class_without_a_label_has_autowares_unknown() -> None:
    rules = [RemapRule(source="UNKNOWN", target="CAR", min_area=5, max_area=20)]
    assert remapped([("traffic_cone", 3, 3), ("traffic_cone", 1, 1)], rules, ("traffic_cone",)) == [
        "CAR",
        "traffic_cone",
    ]


def test_without_rules_nothing_changes() -> None:
    before = detections(NAMES, [("CAR", 15, 2.5)])
    remapper = ClassRemapper(NAMES, ())
    assert remapper.remap(before) is before
    assert remapper.class_names == NAMES


@pytest.mark.parametrize(
    ("names", "rules"),
    [
        (NAMES, AUTOWARE_RULES),
        (tuple(name.lower() for name in NAMES), AUTOWARE_RULES),
        ((*NAMES, "traffic_cone"), AUTOWARE_RULES),
        ((*NAMES, "TRAILER"), ()),
        (("CAR", "PEDESTRIAN"), ()),
    ],
)
def test_default_is_for_models_with_autowares_classes(names: tuple[str, ...], rules: Any) -> None:
    assert default_rules(names) == rules


matrix = st.lists(
    st.one_of(st.floats(-5, 50), st.just(float("inf")), st.just(float("nan"))), min_size=64, max_size=64
)
boxes = st.lists(
    st.tuples(st.sampled_from(LABELS), st.floats(0, 12, width=32), st.floats(0, 4, width=32)), max_size=20
)


@given(st.lists(st.integers(0, 1), min_size=64, max_size=64), matrix, matrix, boxes)
def test_any_matrices_give_autowares_labels(allow: Any, low: Any, high: Any, rows: Any) -> None:
    content = {"allow_remapping_by_area_matrix": allow, "min_area_matrix": low, "max_area_matrix": high}
    rules = parse_parameters(content, Path("file"))
    found = remapped(rows, rules, LABELS)
    expected = [LABELS[map_classes(LABELS.index(n), length, w, content)] for n, length, w in rows]
    assert found == expected
    assert parse_parameters(parameters(rules), Path("file")) == rules


@pytest.mark.parametrize(
    "values",
    [
        {"source": "car"},
        {"target": "LORRY"},
        {"min_area": float("inf")},
        {"max_area": float("nan")},
        {"min_area": -1},
        {"min_area": 20},
        {"colour": "red"},
    ],
)
def test_invalid_rules(values: dict[str, Any]) -> None:
    valid: dict[str, Any] = {"source": "CAR", "target": "TRUCK", "min_area": 1, "max_area": 10}
    RemapRule.model_validate(valid)
    with pytest.raises(ValidationError):
        RemapRule.model_validate({**valid, **values})
