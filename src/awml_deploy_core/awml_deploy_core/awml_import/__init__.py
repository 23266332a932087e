"""AWML's deploy configurations as configurations of this suite."""

from awml_deploy_core.awml_import.importer import ImportedConfig, import_awml_config
from awml_deploy_core.awml_import.source import AwmlComponent, AwmlImporter, AwmlModel, AwmlSource

__all__ = [
    "AwmlComponent",
    "AwmlImporter",
    "AwmlModel",
    "AwmlSource",
    "ImportedConfig",
    "import_awml_config",
]
