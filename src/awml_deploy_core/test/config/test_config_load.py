from __future__ import annotations

from pathlib import Path

import pytest

from awml_deploy_core.config import Step, load_config, load_mapping, only
from awml_deploy_core.config.document import read_document
from awml_deploy_core.config.overrides import apply_overrides
from awml_deploy_core.errors import BagError, ConfigError

MINIMAL = "name: demo\nmodel: {family: toy}\nwork_dir: out\n"

pytestmark = pytest.mark.usefixtures("toy")


def write(folder: Path, text: str) -> Path:
    path = folder / "deploy.yaml"
    path.write_text(text)
    return path


def problems_of(path: Path, *overrides: str, steps: object = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides, steps)  # type: ignore[arg-type]
    return list(caught.value.problems)


def test_minimal_configuration_has_defaults(tmp_path: Path) -> None:
    loaded = load_config(write(tmp_path, MINIMAL))
    deploy = loaded.deploy
    assert deploy.bundle == tmp_path / "out" / "bundle"
    assert deploy.verification.scenarios == ()
    assert deploy.export.onnx.opset_version == 17
    assert loaded.model.channels == 8


def test_relative_paths_start_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    path = write(tmp_path / "sub", MINIMAL + "checkpoint_path: ../weights.pth\n")
    monkeypatch.chdir("/")
    assert load_config(path).deploy.checkpoint_path == tmp_path / "weights.pth"


def test_overrides_start_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    path = write(tmp_path, MINIMAL)
    deploy = load_config(
        path, ["checkpoint_path=w.pth", "verification.samples=[a.npy, 'bag#/points']", "model.channels=4"]
    ).deploy
    assert deploy.checkpoint_path == here / "w.pth"
    assert deploy.verification.samples == (str(here / "a.npy"), f"{here / 'bag'}#/points")


def test_override_reaches_into_lists_and_wins(tmp_path: Path) -> None:
    text = MINIMAL + "verification:\n  scenarios:\n    - {reference: pytorch, test: onnxruntime:cpu}\n"
    deploy = load_config(
        write(tmp_path, text), ["verification.scenarios.0.test=onnxruntime:cuda:1", "name=other"]
    ).deploy
    assert str(deploy.verification.scenarios[0].test) == "onnxruntime:cuda:1"
    assert deploy.name == "other"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("name", "expected key.sub=value"),
        ("name.x=1", "name is a single value"),
        ("verification.samples.3=a", "there is no item 3"),
        ("name=[", "not valid YAML"),
    ],
)
def test_bad_overrides_are_named(tmp_path: Path, override: str, expected: str) -> None:
    path = write(tmp_path, MINIMAL + "verification: {samples: [a]}\n")
    assert expected in problems_of(path, override)[0]


def test_environment_variables_expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTS", str(tmp_path / "w.pth"))
    text = MINIMAL + "checkpoint_path: ${WEIGHTS}\nbundle_path: ${UNSET_HERE:-made}/bundle\n"
    deploy = load_config(write(tmp_path, text)).deploy
    assert deploy.checkpoint_path == tmp_path / "w.pth"
    assert deploy.bundle == tmp_path / "made" / "bundle"


def test_undefined_variable_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "checkpoint_path: ${UNSET_HERE}\n")
    assert problems_of(path, steps=only(Step.EXPORT)) == [
        "line 4: checkpoint_path: environment variable UNSET_HERE is not set; "
        "set it or write ${UNSET_HERE:-default}"
    ]


def test_syntax_error_names_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path, "name: demo\nmodel: {family: toy\nwork_dir: out\n")
    with pytest.raises(ConfigError, match=r"deploy.yaml:3:9: is not valid YAML"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("- a\n", "is not a mapping"), ("", "3 problems"), ("a: \x07", "is not valid YAML")],
)
def test_other_documents_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: &x\n  c:\n    d: *x\n", r"yaml:4: b\.c\.d refers to itself.*from line 2 on"),
        ("a: &x [1, *x]\n", r"yaml:1: a\.1 refers to itself"),
        ("a: &x\n  <<: *x\n", r"yaml:2: a\.<< refers to itself"),
        ("a: 1\n? [1, 2]\n: 3\n", "yaml:2: a list is used as a key; expected a name"),
        ("name: demo\nwork_dir: {{ folder }}\n", "yaml:2: a mapping is used as a key"),
        ("a: 1\nb: " + "[" * 5000, r"yaml:2:\d+: is not valid YAML; got nested too deeply"),
        ("a: 1\nb: 2026-13-01\n", "yaml:2:4: is not valid YAML; got not a timestamp: month must be"),
        ("a: !!int x\n", "yaml:1:4: is not valid YAML; got not a int: invalid literal"),
    ],
    ids=["mapping", "sequence", "merge", "list key", "template", "depth", "date", "tag"],
)
def test_yaml_that_no_configuration_can_mean_is_one_error_with_its_line(
    tmp_path: Path, text: str, expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(write(tmp_path, text))


def test_an_alias_may_repeat_what_is_elsewhere(tmp_path: Path) -> None:
    text = "a: &a {x: 1}\nb: [*a, *a]\nc:\n  <<: *a\n"
    content = read_document(write(tmp_path, text)).content
    assert content == {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}], "c": {"x": 1}}


def test_missing_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_all_problems_come_at_once_with_lines_and_suggestions(tmp_path: Path) -> None:
    text = (
        "name: demo\n"
        "name: again\n"
        "model:\n"
        "  family: toy\n"
        "  chanels: 4\n"
        "work_dir: out\n"
        "checkpoint_path: missing.pth\n"
        "runtime: {devise: cpu, num_threads: -1}\n"
        "verification:\n"
        "  scenarios:\n"
        "    - {reference: pytorch:gpu, test: onnxruntime}\n"
        "  tolerances: {fp32: {outputs: {hetmap: {relative: 0.1}}}}\n"
        "expotr: {}\n"
    )
    problems = problems_of(write(tmp_path, text), steps=only(Step.EXPORT, Step.VERIFY))
    text = "\n".join(problems)
    for part in (
        "line 2: name: is given twice, first in line 1",
        "line 5: model.chanels: unknown key (did you mean channels?)",
        "line 7: checkpoint_path: does not exist",
        "line 8: runtime.devise: unknown key (did you mean device?)",
        "line 8: runtime.num_threads: input should be greater than or equal to 0, got -1",
        "line 11: verification.scenarios.0.reference.device: unknown device",
        "line 13: expotr: unknown key (did you mean export?)",
        "verification.samples: is empty",
    ):
        assert part in text
    assert len(problems) == len(set(problems))


def test_what_is_wrong_inside_a_source_stays_below_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def several(*_: object) -> None:
        raise BagError("bag", "several topics", problems=["/front", "/rear"], hint="Name one.")

    monkeypatch.setattr("toy_family.ToyFamily.open_samples", several)
    path = write(tmp_path, MINIMAL + "infer: {source: bag}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, steps=only(Step.INFER))
    assert [line for line in str(caught.value).splitlines() if "bundle" not in line] == [
        f"{path}: has 2 problems",
        "  - line 4: infer.source: bag: several topics",
        "      - /front",
        "      - /rear",
        "    Name one.",
    ]


def test_missing_keys_do_not_hide_later_problems(tmp_path: Path) -> None:
    path = write(tmp_path, "model: {family: toy}\ncheckpoint_path: none.pth\n")
    problems = problems_of(path, steps=only(Step.EXPORT))
    assert problems[:2] == ["name: is required", "work_dir: is required"]
    assert problems[2].startswith("line 2: checkpoint_path: does not exist")


def test_problems_of_the_model_do_not_hide_those_of_the_sources(tmp_path: Path) -> None:
    text = MINIMAL.replace("family: toy", "family: toy, chanels: 4") + "infer: {source: missing}\n"
    problems = "\n".join(problems_of(write(tmp_path, text), steps=only(Step.INFER)))
    assert "line 2: model.chanels: unknown key" in problems
    assert "line 4: infer.source: " in problems


def test_paths_that_the_system_refuses_are_named_with_their_reason(tmp_path: Path) -> None:
    text = MINIMAL + f"checkpoint_path: {'a' * 300}\nbundle_path: ~no-such-user/bundle\n"
    problems = problems_of(write(tmp_path, text), steps=only(Step.EXPORT))
    assert problems[:2] == [
        "line 4: checkpoint_path: cannot be reached: File name too long",
        "line 5: bundle_path: starts from the home of a user that is not known, got '~no-such-user/bundle'",
    ]


def test_unknown_family_suggests(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL.replace("toy", "toi"))
    assert problems_of(path) == ["line 2: model.family: unknown family 'toi' (did you mean toy?)"]


def test_mapping_loads_like_a_file(tmp_path: Path) -> None:
    content = {"name": "b", "model": {"family": "toy", "channels": 3}, "work_dir": ".", "bundle_path": "."}
    loaded = load_mapping(content, tmp_path)
    assert loaded.model.channels == 3
    assert loaded.deploy.bundle == tmp_path


def test_exponents_without_a_dot_are_numbers(tmp_path: Path) -> None:
    text = MINIMAL + "verification: {tolerances: {fp32: {default: {relative: 1e-3}}}}\n"
    fp32 = load_config(write(tmp_path, text)).deploy.verification.tolerances["fp32"]
    assert fp32.default is not None
    assert fp32.default.relative == 1e-3


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("&x [*x]", "refers to itself"),
        ("[" * 3000, "nested too deeply"),
        ("2026-13-01", "not a timestamp"),
        ("{a: 1, a: 2}", "is given twice"),
        ("[1, 2", "is not valid YAML"),
    ],
)
def test_a_value_of_the_command_line_that_is_no_yaml_is_one_problem(value: str, reason: str) -> None:
    content, problems = apply_overrides({}, [f"name={value}"])
    assert content == {}
    (problem,) = problems
    assert problem.startswith("--set name=")
    assert reason in problem


def test_an_empty_value_of_the_command_line_is_null() -> None:
    assert apply_overrides({"a": 1}, ["a="]) == ({"a": None}, [])
