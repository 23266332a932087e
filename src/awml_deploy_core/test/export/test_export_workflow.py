from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from awml_deploy_core.components import ComponentSpec, ExportableComponent
from awml_deploy_core.errors import ConfigError, ExportError
from awml_deploy_core.export import (
    ExportedArtifact,
    ExporterFactory,
    ExportProgress,
    OnnxExportOptions,
    OnnxExportWorkflow,
)
from awml_deploy_core.export.onnx_exporter import OnnxExporter


def component(name: str, file: str | None = None) -> ExportableComponent:
    return ExportableComponent(ComponentSpec(name, file or f"{name}.onnx", (), ()), None, ())  # type: ignore[arg-type]


@dataclass
class Extractor:
    components: tuple[ExportableComponent, ...]
    asked: Any = None

    def extract(self, model: Any) -> tuple[ExportableComponent, ...]:
        self.asked = model
        return self.components


class FakeExporter:
    made = 0

    def __init__(self) -> None:
        FakeExporter.made += 1

    def export(self, source: ExportableComponent, folder: Path) -> ExportedArtifact:
        if source.spec.name == "bad":
            raise ExportError("component bad", "cannot be exported")
        return ExportedArtifact(source.spec.name, folder / source.spec.onnx_file, "test", 0.0)


FACTORY = ExporterFactory({"onnx": FakeExporter})


def test_hands_every_component_to_a_fresh_exporter_in_order(tmp_path: Path) -> None:
    extractor, model, before = Extractor((component("a"), component("b"))), object(), FakeExporter.made
    artifacts = OnnxExportWorkflow(FACTORY, extractor).run(model, tmp_path)  # type: ignore[arg-type]
    assert [artifact.path for artifact in artifacts] == [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    assert extractor.asked is model
    assert FakeExporter.made == before + 2


def test_reports_progress_before_and_after_each(tmp_path: Path) -> None:
    seen: list[ExportProgress] = []
    workflow = OnnxExportWorkflow(
        FACTORY, Extractor((component("a"), component("b"))), on_progress=seen.append
    )
    artifacts = workflow.run(None, tmp_path)  # type: ignore[arg-type]
    assert seen == [
        ExportProgress("a", 0, 2),
        ExportProgress("a", 0, 2, artifacts[0]),
        ExportProgress("b", 1, 2),
        ExportProgress("b", 1, 2, artifacts[1]),
    ]


@pytest.mark.parametrize(
    ("components", "problem"),
    [
        ((), "its extractor gave no component"),
        ((component("a"), component("a", "other.onnx")), "component a occurs 2 times"),
        ((component("a"), component("b", "a.onnx")), r"file a\.onnx occurs 2 times"),
    ],
)
def test_components_that_cannot_make_a_bundle_are_refused(
    components: tuple[ExportableComponent, ...], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=problem):
        OnnxExportWorkflow(FACTORY, Extractor(components)).run(None, tmp_path)  # type: ignore[arg-type]


def test_the_error_of_one_component_ends_the_workflow(tmp_path: Path) -> None:
    workflow = OnnxExportWorkflow(FACTORY, Extractor((component("bad"), component("b"))))
    with pytest.raises(ExportError, match="component bad"):
        workflow.run(None, tmp_path)  # type: ignore[arg-type]


def test_an_unknown_target_lists_what_the_factory_makes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got 'coreml'; expected onnx"):
        OnnxExportWorkflow(FACTORY, Extractor((component("a"),)), target="coreml").run(None, tmp_path)  # type: ignore[arg-type]


def test_the_factory_makes_a_new_exporter_each_time() -> None:
    factory = ExporterFactory.from_options(onnx=OnnxExportOptions(opset_version=18))
    first, second = factory.create("onnx"), factory.create("onnx")
    assert isinstance(first, OnnxExporter)
    assert first is not second
    assert factory.targets == ("onnx", "tensorrt")


def test_options_list_every_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        OnnxExportOptions(opset_version=9, graph_capture="magic")  # type: ignore[arg-type]
    assert caught.value.problems == (
        "opset_version 9 is below 11",
        "graph_capture 'magic' is not one of auto, dynamo, torchscript",
    )


def test_a_whole_model_becomes_two_files(
    conv_component: ExportableComponent, mlp_component: ExportableComponent, tmp_path: Path
) -> None:
    quick = OnnxExportOptions(graph_capture="torchscript")
    workflow = OnnxExportWorkflow(
        ExporterFactory.from_options(onnx=quick), Extractor((mlp_component, replace(conv_component)))
    )
    workflow.run(conv_component.module, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.onnx", "head.onnx"]
