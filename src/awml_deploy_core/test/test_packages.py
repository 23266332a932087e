from awml_deploy_core.packages import installed_versions


def test_only_installed_packages_have_a_version() -> None:
    versions = installed_versions(("numpy", "no-such-package"))
    assert versions.keys() == {"numpy"}
    assert versions["numpy"][0].isdigit()
