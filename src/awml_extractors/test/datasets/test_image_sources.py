from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from awml_deploy_core.errors import DatasetError
from awml_extractors.datasets.coco import open_images
from awml_extractors.datasets.image_files import read_image


def write(path: Path, value: tuple[int, int, int] = (200, 100, 50), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", (6, 4), value).convert(mode).save(path)
    return path


def coco(folder: Path, **changes: Any) -> Path:
    write(folder / "images" / "a.png")
    write(folder / "images" / "sub" / "b.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "sub/b.png"}],
        "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "bus"}],
        "annotations": [
            {"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1},
            {"image_id": 9, "category_id": 3, "bbox": [0, 0, 2.5, 1]},
        ],
        **changes,
    }
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    return path


def test_colours_are_blue_green_red(tmp_path: Path) -> None:
    image = read_image(write(tmp_path / "a.png"), "camera", 5)
    assert (image.height, image.width, image.frame_id, image.stamp_ns) == (4, 6, "camera", 5)
    assert image.pixels[0, 0].tolist() == [50, 100, 200]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_other_kinds_of_images_become_colour(tmp_path: Path, mode: str) -> None:
    assert read_image(write(tmp_path / "a.png", mode=mode)).pixels.shape == (4, 6, 3)


def test_rotation_in_the_file_is_applied(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, 0] = 255
    image = Pillow.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    found = read_image(tmp_path / "a.png").pixels
    assert found.shape == (6, 4, 3)
    assert found[0].min() == 255


def test_folder_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for name in ("10.png", "9.PNG", "notes.txt"):
        write(tmp_path / "x.png").rename(tmp_path / name)
    samples = open_images(str(tmp_path))
    assert [sample.sample_id for sample in samples] == ["9", "10"]
    assert [sample.sample_id for sample in samples[1:]] == ["10"]
    assert len(open_images(str(tmp_path), 1)) == 1
    assert len(open_images(str(tmp_path / "10.png"))) == 1


def test_coco(tmp_path: Path) -> None:
    samples = open_images(f"{coco(tmp_path)}?root=images")
    assert [sample.sample_id for sample in samples] == ["a", "sub/b"]
    assert len(samples[0].ground_truth) == 0
    truth = samples[1].ground_truth
    assert truth.boxes.class_names == ("car", "bus")
    assert truth.boxes.boxes.tolist() == [[1, 2, 4, 6], [0, 0, 2.5, 1]]
    assert truth.boxes.labels.tolist() == [1, 0]
    assert truth.is_crowd.tolist() == [True, False]
    assert len(open_images(str(coco(tmp_path)), 1)) == 1


def test_boxes_in_the_classes_of_a_model(tmp_path: Path) -> None:
    source = f"{coco(tmp_path)}?root=images"
    truth = open_images(source, class_names=["truck", "bus"])[1].ground_truth
    assert truth.boxes.class_names == ("truck", "bus")
    assert truth.boxes.labels.tolist() == [1]
    truth = open_images(source, class_names=["TRUCK", "bus"], class_mapping={"car": "TRUCK"})[
        1
    ].ground_truth
    assert truth.boxes.labels.tolist() == [1, 0]
    with pytest.raises(DatasetError, match="no category is one of the model's classes"):
        open_images(source, class_names=["truck"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"images": []}, "names no image"),
        ({"images": [{"id": 1, "file_name": "a"}] * 2}, "two images have one id"),
        ({"categories": []}, "no table of categories"),
        ({"annotations": [{"image_id": 1}]}, "id of no image"),
        ({"annotations": {}}, "not a list"),
        ({"images": [{"id": 1}, {"file_name": "a.png"}]}, "id: is missing"),
    ],
)
def test_malformed_annotations(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DatasetError, match=problem):
        open_images(str(coco(tmp_path, **changes)))


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ({"category_id": 2, "bbox": [0, 0, 1, 1]}, "id of no category"),
        ({"category_id": 1, "bbox": [0, 0, -1, 1]}, "no box"),
        ({"category_id": 1, "bbox": [0, 0, 1]}, "wrong shape"),
        ({"category_id": 1, "bbox": [0, 0, float("nan"), 1]}, "no box"),
        ({"category_id": 1, "bbox": [0, 0, 1, 1], "area": -1}, "no area"),
        ({"category_id": 1, "bbox": [0, 0, 1, 1], "area": float("nan")}, "no area"),
    ],
)
def test_malformed_boxes(tmp_path: Path, annotation: dict[str, Any], problem: str) -> None:
    samples = open_images(f"{coco(tmp_path, annotations=[{'image_id': 7, **annotation}])}?root=images")
    with pytest.raises(DatasetError, match=problem):
        samples[0]


def test_area_is_the_annotators_where_there_is_one(tmp_path: Path) -> None:
    annotations = [
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 5], "area": 12.5},
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 5]},
    ]
    truth = open_images(f"{coco(tmp_path, annotations=annotations)}?root=images")[0].ground_truth
    assert truth.areas.tolist() == [12.5, 20.0]


def test_sources_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_bytes(write(tmp_path / "a.png").read_bytes()[:40])
    (tmp_path / "bad.json").write_text("{")
    for source, problem in (
        ("missing", "no such file or folder"),
        ("empty", "no image in the folder"),
        ("bad.json", "is not JSON"),
        ("a.png?size=3", "unknown option"),
    ):
        with pytest.raises(DatasetError, match=problem):
            open_images(str(tmp_path / source))
    with pytest.raises(DatasetError, match="no image that can be read"):
        open_images(str(tmp_path / "bad.png"))[0]
    with pytest.raises(DatasetError, match="no such file"):
        open_images(f"{coco(tmp_path)}?root=empty")[0]
    with pytest.raises(DatasetError, match="limit"):
        open_images(str(tmp_path / "a.png"), 0)
