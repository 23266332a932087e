"""Model families that plug into awml_deploy_core through entry points."""
