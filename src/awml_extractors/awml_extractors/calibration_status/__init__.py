"""Calibration status: whether a LiDAR and a camera are still where their calibration says."""
