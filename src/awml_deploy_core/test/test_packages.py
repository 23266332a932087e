import re
from importlib.metadata import version

import pytest

from awml_deploy_core.errors import MissingDependencyError
from awml_deploy_core.packages import installed_versions, plugin_versions, require_package


def test_only_installed_packages_have_a_version() -> None:
    versions = installed_versions(("numpy", "no-such-package"))
    assert versions.keys() == {"numpy"}
    assert versions["numpy"][0].isdigit()


def test_a_missing_package_is_named_with_its_remedy() -> None:
    require_package("numpy", "to count", "1.0")
    message = 'absent: not installed; expected absent to fly. pip install "absent>=2"'
    with pytest.raises(MissingDependencyError, match=re.escape(message)):
        require_package("absent", "to fly", "2")


def test_plug_ins_are_known_by_the_package_that_provides_them() -> None:
    group = "awml_deploy.backends"
    assert plugin_versions(group, "onnxruntime") == {"awml_deploy_core": version("awml_deploy_core")}
    assert plugin_versions(group).keys() >= {"awml_deploy_core"}
    assert plugin_versions(group, "none") == plugin_versions("no.such.group") == {}
