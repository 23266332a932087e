"""The frame on the GPU: CUDA kernels and what enqueues them."""
