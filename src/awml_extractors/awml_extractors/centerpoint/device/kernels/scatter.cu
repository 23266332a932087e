// Pillar features onto the bird's-eye-view canvas, cell by cell, so that neighbours are written together.
//
// owners [NY * NX] remembers between frames which cells of the canvas are not zero: every other cell
// is neither cleared nor written.
typedef unsigned int Word;
typedef unsigned long long Long;
#if HALF_FEATURES
typedef unsigned short Value;
#else
typedef unsigned int Value;
#endif

constexpr int THREADS = 256;
constexpr Word NOBODY = 0;
constexpr Word LAST_FRAME = 0xffffffffu;
/// Values of a pillar that are read at once: 16 bytes where every row begins at a multiple of them.
constexpr int PIECE = FEATURES * sizeof(Value) % 16 == 0 ? 16 / (int)sizeof(Value) : 1;

struct __align__(PIECE * sizeof(Value)) Piece {
  Value values[PIECE];
};

/// Let every pillar own its cell.
///
/// pillars [1]; coordinates [pillars]: distinct y, x; owners: row of the pillar plus one.
extern "C" __global__ void __launch_bounds__(THREADS) claim_cells(
    const Word* __restrict__ pillars, const int2* __restrict__ coordinates, Word* __restrict__ owners) {
  const Word count = *pillars;
  for (Word row = blockIdx.x * THREADS + threadIdx.x; row < count; row += gridDim.x * THREADS) {
    owners[coordinates[row].x * NX + coordinates[row].y] = row + 1;
  }
}

/// Write the cells that have an owner, clear those that had one in the last frame.
///
/// features [rows, FEATURES]; canvas [FEATURES, NY, NX].
extern "C" __global__ void __launch_bounds__(THREADS) fill_canvas(
    const Value* __restrict__ features, Word* __restrict__ owners, Value* __restrict__ canvas) {
  constexpr Word CELLS = NX * NY;
  const Word cell = blockIdx.x * THREADS + threadIdx.x;
  if (cell >= CELLS) return;
  const Word owner = owners[cell];
  if (owner == NOBODY) return;
  const bool cleared = owner == LAST_FRAME;
  owners[cell] = cleared ? NOBODY : LAST_FRAME;
  const Piece* row = (const Piece*)(features + (Long)(cleared ? 0 : owner - 1) * FEATURES);
  for (int first = 0; first < FEATURES; first += PIECE) {
    Piece piece = {};
    if (!cleared) piece = row[first / PIECE];
    for (int i = 0; i < PIECE; ++i) canvas[(Long)(first + i) * CELLS + cell] = piece.values[i];
  }
}
