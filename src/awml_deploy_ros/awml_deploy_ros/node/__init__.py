"""What every node of a model has, whatever it detects in: lifecycle, latency, diagnostics, evidence."""
