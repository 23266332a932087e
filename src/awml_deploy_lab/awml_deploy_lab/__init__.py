"""Development tools that no vehicle needs: a LiDAR scene simulator and the demo models' training."""
