"""Model-agnostic deployment: export, artifacts, sessions, pipelines, verification."""
