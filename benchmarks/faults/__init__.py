"""Faults injected into the running node one by one, and what it does about each."""
