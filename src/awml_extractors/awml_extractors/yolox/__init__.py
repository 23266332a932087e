"""YOLOX (opt, ELAN): 2D detection in camera images, for Autoware's tensorrt_yolox."""
