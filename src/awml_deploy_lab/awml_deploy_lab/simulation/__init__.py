"""Randomised street scenes, seen by a spinning LiDAR that drives through them."""
