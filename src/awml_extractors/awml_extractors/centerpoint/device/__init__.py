"""CenterPoint's frame on the GPU."""
