"""Annotations in COCO's JSON form, as AWML's T4 converter writes them too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from awml_deploy_core.detections2d import Detections2D, GroundTruth2D
from awml_deploy_core.errors import DatasetError
from awml_deploy_core.family import LazySamples, Sample
from awml_extractors.datasets.image_files import image_samples, read_image
from awml_extractors.datasets.info_node import InfoNode
from awml_extractors.datasets.records import read_bytes
from awml_extractors.datasets.source_options import find_file, split_source

_OPTIONS = ("root",)
_SUBFOLDERS = ("", "images", "train2017", "val2017")
# What no coordinate exceeds; also refuses NaN.
_FAR = 1e7


def open_images(
    source: str,
    limit: int | None = None,
    *,
    class_names: Sequence[str] | None = None,
    class_mapping: Mapping[str, str] | None = None,
) -> Sequence[Sample]:
    """Images of a file, of a folder, or of a COCO annotation file.

    Args:
        source: ``PATH``, or ``annotations.json?root=FOLDER`` with the folder of the images relative
            to the file, where they are not beside it.
        limit: At most this many samples, from the start.
        class_names: Classes of the model, which the boxes are given in; boxes of other categories
            are left out. None takes the categories as they are.
        class_mapping: Class of the model for each category that has another name.

    Raises:
        DatasetError: The source is missing, malformed or holds no image. Also raised on indexing.
        MissingDependencyError: On indexing: Pillow is not installed.
    """
    if limit is not None and limit < 1:
        raise DatasetError(source, "limit is not positive", got=limit, expected="at least 1, or none")
    path, options = split_source(source, _OPTIONS)
    try:
        if path.suffix.lower() == ".json" and path.is_file():
            root = path.parent / options.get("root", ".")
            samples = open_coco(path, root)
            if class_names is not None:
                samples = samples.in_classes(class_names, class_mapping or {})
            return samples[:limit]
        return image_samples(path)[:limit]
    except OSError as error:
        raise DatasetError(source, "cannot be read", got=error.strerror or error) from error


def open_coco(path: Path, root: Path) -> CocoSamples:
    """The images of an annotation file with their boxes, each loaded when it is indexed.

    Args:
        path: JSON with ``images``, ``annotations`` and ``categories``.
        root: Folder that the names of the images are relative to.

    Raises:
        DatasetError: The file is missing, malformed or names no image.
    """
    try:
        content = InfoNode.of(str(path), json.loads(read_bytes(path)))
    except (ValueError, RecursionError) as error:
        raise DatasetError(path, "is not JSON", got=error) from None
    categories = {node.integer("id", at_least=0): node.text("name") for node in content.nodes("categories")}
    if not categories or len(set(categories.values())) < len(categories):
        raise content.error("categories", "no table of categories", "a list of distinct ids and names")
    images = tuple(content.nodes("images"))
    if not images:
        raise DatasetError(path, "names no image", expected="images: a list of {id, file_name}")
    known = {node.integer("id", at_least=0) for node in images}
    if len(known) < len(images):
        raise content.error("images", "two images have one id", "distinct ids")
    annotations: dict[int, list[InfoNode]] = {image: [] for image in known}
    for node in content.nodes("annotations"):
        image = node.integer("image_id", at_least=0)
        if image not in annotations:
            raise node.error("image_id", "is the id of no image", "an id of images")
        annotations[image].append(node)
    names = tuple(categories.values())
    label_of = {identity: label for label, identity in enumerate(categories)}
    return CocoSamples(path, root, images, annotations, categories, label_of, names)


@dataclass(frozen=True, eq=False)
class CocoSamples(LazySamples):
    """One sample an image, in the order of the file, identified by the image's name."""

    path: Path
    root: Path
    images: tuple[InfoNode, ...]
    annotations: Mapping[int, Sequence[InfoNode]]
    categories: Mapping[int, str]
    """Name of every category, in the order of the file."""
    label_of: Mapping[int, int]
    """Index into ``class_names`` by id of the category; boxes of others are left out."""
    class_names: tuple[str, ...]

    def in_classes(self, class_names: Sequence[str], mapping: Mapping[str, str]) -> CocoSamples:
        """The same with boxes of a model's classes; a category without a mapping is named as its class.

        Raises:
            DatasetError: No category is one of the classes.
        """
        index = {name: label for label, name in enumerate(class_names)}
        label_of = {
            identity: index[mapping.get(name, name)]
            for identity, name in self.categories.items()
            if mapping.get(name, name) in index
        }
        if not label_of:
            raise DatasetError(
                self.path,
                "no category is one of the model's classes",
                got=", ".join(self.categories.values()),
                expected=", ".join(class_names),
                hint="Map the names of the categories to those of the classes.",
            )
        return replace(self, label_of=label_of, class_names=tuple(class_names))

    def __len__(self) -> int:
        return len(self.images)

    def _load(self, index: int) -> Sample:
        node = self.images[index]
        name = node.text("file_name")
        roots = [self.root / folder for folder in _SUBFOLDERS]
        image = read_image(find_file(roots, name, f"{node.place}.file_name", self.path))
        truth = self._ground_truth(self.annotations[node.integer("id", at_least=0)])
        return Sample(Path(name).with_suffix("").as_posix(), image, truth)

    def _ground_truth(self, nodes: Sequence[InfoNode]) -> GroundTruth2D:
        boxes, labels, crowds, areas = [], [], [], []
        for node in nodes:
            category = node.integer("category_id", at_least=0)
            if category not in self.categories:
                raise node.error("category_id", "is the id of no category", "an id of categories")
            if category not in self.label_of:
                continue
            left, top, width, height = node.array("bbox", (4,))
            if not (np.abs([left, top, width, height]) < _FAR).all() or width < 0 or height < 0:
                raise node.error("bbox", "no box", "left, top, width, height [px]")
            boxes.append((left, top, left + width, top + height))
            labels.append(self.label_of[category])
            crowds.append(bool(_flag(node)))
            areas.append(_area(node) if "area" in node else width * height)
        return GroundTruth2D(
            Detections2D(
                np.array(boxes, np.float32).reshape(-1, 4),
                np.ones(len(boxes), np.float32),
                np.array(labels, np.int32),
                self.class_names,
            ),
            np.array(crowds, np.bool_),
            np.array(areas, np.float64),
        )


def _area(node: InfoNode) -> float:
    area = float(node.array("area", ()))
    if not 0 <= area < _FAR**2:
        raise node.error("area", "no area", "a number of square pixels")
    return area


def _flag(node: InfoNode) -> Any:
    return node.integer("iscrowd", at_least=0) if "iscrowd" in node else 0
