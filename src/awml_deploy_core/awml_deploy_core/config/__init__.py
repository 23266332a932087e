"""Typed deployment configuration: schema, loading with all problems at once, pre-flight checks."""

from awml_deploy_core.config.load import LoadedConfig, load_config, load_mapping
from awml_deploy_core.config.preflight import Step, configured_steps, only
from awml_deploy_core.config.schema import DeployConfig

__all__ = [
    "DeployConfig",
    "LoadedConfig",
    "Step",
    "configured_steps",
    "load_config",
    "load_mapping",
    "only",
]
