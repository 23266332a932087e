"""Wires families, backends and steps together; everything that drives a model starts here."""

from awml_deploy_core.runner.pipelines import open_pipeline

__all__ = ["open_pipeline"]
