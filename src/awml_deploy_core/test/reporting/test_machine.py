from __future__ import annotations

import pytest

from awml_deploy_core.reporting import machine


def test_packages_of_plug_ins_are_recorded_without_knowing_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "plugin_versions", lambda group: {f"package of {group}": "3"})
    packages = machine.machine_record().packages
    assert packages["package of awml_deploy.models"] == packages["package of awml_deploy.backends"] == "3"
    assert "awml_deploy_core" in packages
