"""Readers of point clouds: KITTI, nuScenes, PCD, NumPy files, folders and rosbag2."""
