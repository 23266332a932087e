"""The recipe that trains the demo models on simulated scenes."""
