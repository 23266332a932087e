"""Readers of point clouds: KITTI, nuScenes, PCD, NumPy files, folders, rosbag2 and info files."""
