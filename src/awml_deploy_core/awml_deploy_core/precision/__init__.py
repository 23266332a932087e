"""Which precision a model can be deployed in: variants, their measurement and the choice."""

from awml_deploy_core.precision.results import StudyResult, VariantResult
from awml_deploy_core.precision.study import PrecisionStudy

__all__ = ["PrecisionStudy", "StudyResult", "VariantResult"]
