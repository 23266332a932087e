// Which branch of a conditional node runs, by a count that only the device knows.

extern "C" __device__ __cudart_builtin__ void CUDARTAPI cudaGraphSetConditional(
    cudaGraphConditionalHandle handle, unsigned int value);

/// The first branch whose limit is not below the count; none for a count of zero.
///
/// limits [branches]: ascending.
extern "C" __global__ void choose_branch(
    cudaGraphConditionalHandle handle, const unsigned int* count, const unsigned int* limits,
    unsigned int branches) {
  unsigned int branch = 0;
  while (branch < branches - 1 && *count > limits[branch]) ++branch;
  cudaGraphSetConditional(handle, *count == 0 ? branches : branch);
}
