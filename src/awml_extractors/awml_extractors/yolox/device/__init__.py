"""YOLOX's frame on the GPU."""
