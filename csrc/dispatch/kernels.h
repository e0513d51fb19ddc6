// The kernel table: what ordinary C++ (engine/ and above) may call of the code that is compiled once per ISA (simd/,
// kernels/, cells/).
//
// Each ISA exports one table of function pointers, and both sides include this header of plain structs. Kernels do not
// throw, do not allocate, use no containers of std, and stand in unnamed namespaces: an inline function compiled for
// AVX-512 and visible to the linker could replace the same function in code that must run on every CPU.
//
// Letters: T time, B batch, I input, H hidden, P recurrent width (proj_size or H), S slots, K N M of a product.
#pragma once

#include <cstddef>

#include "dispatch/names.h"

namespace pyrnn {

// Functions of one element. Cells take the first of them, up to hard_sigmoid_keras3; layers of their own take all.
enum class Activation {
  tanh,
  sigmoid,
  relu,
  identity,
  hard_sigmoid_keras2,
  hard_sigmoid_keras3,
  leaky_relu,
  elu,
  selu,
  softsign,
  exponential,
  silu,
  gelu_tanh
};
constexpr int cell_activation_count = 6, activation_count = 13;
enum class Peephole { i, o, f };  // the order of ONNX's P

// How weight matrices are stored: in the numbers' own type; in bfloat16, all arithmetic being float32; or in int8 with a
// scale a row, against inputs and states quantised at every step (kernels/int8.h). W_hr and the biases stay as they are.
enum class Format { native, bf16, int8 };
constexpr int format_count = 3;
// Largest K of a product in int8: K 127 127 < 2^31. Unsigned activations pass 2^31 sooner, but wrap around, and back.
constexpr int largest_int8_inner = 133144;

// Slots in a row that a product with W_hh is added to, in the order of the rows of W_hh.
struct HiddenSlots {
  int slot, gates;  // the first slot, and how many
  int input;  // the slot that is multiplied, r h of the GRU with the reset before the product; -1: h itself
};
constexpr int most_products = 2;

// The facts about a cell. cells/NAME.h states the first part beside the equations; cells/table.h derives the rest from
// the stages. The engine, the readers and Python (`_core.cells()`) take them from the table of the ISA.
struct CellFacts {
  const char* name;  // "gru_reset_before"
  const char* layer;  // the class of the layer, as in torch: "GRU"
  Names gates;  // the blocks of H rows in weight_ih, weight_hh and the biases
  Names slots;  // the numbers that a step keeps a unit, for backward and traces
  Names states;  // "h", or "h c"
  bool recurrent_activation = false, peephole = false, projection = false;  // the options that a layer takes
  bool passes_state = false;  // part of dLoss/dh flows to the step before without W_hh: (1 - z) n + z h

  int index = 0;  // among the cells, and in FormatOps
  int sums = 0;  // the first slots, whose gradients backward makes
  HiddenSlots hidden[most_products] = {};
  int products = 0;  // how many of `hidden` there are

  constexpr bool has_second_product() const noexcept { return hidden[1].input >= 0 && products == 2; }
};

// What a cell may be asked to do differently; read by the cells of FormatOps::chosen only.
template <class T> struct CellOptions {
  Activation activation = Activation::tanh, recurrent_activation = Activation::sigmoid;
  const T* peephole = nullptr;  // [3,H] and room for one more vector, or null; LSTM only
};

// One row of one step, for work on some rows only.
struct RowAt {
  int step, row;
};

// Rows indexed by (step, batch row): row m is step m / batch, batch row m % batch. Strides in elements;
// a negative step walks back in time. Elements of a row are adjacent.
template <class T> struct Rows {
  T* data;
  ptrdiff_t step_stride;
  ptrdiff_t row_stride;
  int batch;
  const RowAt* list = nullptr;  // if given, row m is that of list[m]
};

// C[M,N] = start + A[M,K] B[K,N]; start is C itself (accumulate), the bias, or zero.
template <class T> struct Gemm {
  int M, N, K;
  Rows<const T> a;
  const T* b;  // packed by pack_matrix
  int b_rows;  // rows of the packed matrix (>= first + K)
  int b_first;  // first row used
  const T* bias;  // [N] and room for one more vector, or null
  bool accumulate;
  Rows<T> c;
};

// C[M,N] (+)= sum over rows k of A[k,m] B[k,n], for one B or two: the gradients of the weight matrices.
template <class T> struct Outer {
  struct Right {
    int N;
    Rows<const T> b;
    T* c;  // element m, n at c[m * c_row + n * c_column]
    ptrdiff_t c_row, c_column;
  };
  int M, K;
  Rows<const T> a;
  Right right[2];  // N = 0: not wanted
  bool accumulate;
  T* scratch;  // outer_scratch(N) elements, N that of both
};

// The hidden units [first, end) a call works on; first is a multiple of Ops::lanes.
struct Units {
  int first, end;
};

// The inputs' part of the sums, for M rows of any steps: slots of `gates` = bias + W_ih x.
template <class T> struct Project {
  int M, I, H;
  Units units;
  Rows<const T> x;
  const void* weight_ih;  // packed by pack_input
  const T* bias;  // [G*H]
  Rows<T> gates;
  void* scratch;  // M * row_scratch(I) bytes
};

// One time step of B rows, those of `rows` if given. `gates` holds S slots of H per row: on entry what project made,
// on exit, if `keep`, what backward needs (cells/*.h). With x given the step makes the inputs' part itself. h, c, y:
// one row a batch row; c null but for the LSTM.
template <class T> struct StepForward {
  int B, I, H, P;
  Units units;
  const RowAt* rows;
  CellOptions<T> options;
  const T* x;  // [B,I], or null: project has run
  ptrdiff_t x_stride;
  const void* weight_ih;  // packed by pack_input
  const T* bias;  // [G*H]
  const void* weight_hh;  // packed by pack_hidden
  const T* bias_hh;  // [H]: the GRU candidate's own; else unused
  void* scratch;  // B * (row_scratch(I) + row_scratch(P)) bytes
  T* gates;
  ptrdiff_t gates_stride;
  bool keep;
  const T *h_prev, *c_prev;
  T *h, *c, *y;  // y (a second copy of h, the output) may be null
  ptrdiff_t h_prev_stride, h_stride, y_stride;  // c rows are H apart
};

// The pointwise part of one step backward. The gradient of the step's h comes in three parts: `product`, da W_hh of
// the step after; `direct`, what flowed past that product (GRU: dh z), replaced on exit by this step's; and dy, the
// output's. Kept apart because a long sum that starts from a large number loses its digits: adding da W_hh on top
// of dh z cost the GRU a factor 7 in the error of dh0 (T = 100, H = 128).
template <class T> struct StepBackward {
  int B, H;
  Units units;
  const RowAt* rows;
  CellOptions<T> options;
  const T* gates;  // saved by the forward step
  T* da;  // out: gradients of the S sums
  ptrdiff_t gates_stride, da_stride;
  const T *h_prev, *c_prev;
  ptrdiff_t h_prev_stride;
  const T *product, *dy;  // either may be null; product rows are H apart
  T* direct;  // null but for the GRU; rows H apart
  T* dc;  // in and out; null but for the LSTM, and d(r h) for gru_reset_before; rows H apart
  ptrdiff_t dy_stride;
  T *dh_total, *dc_total;  // out: dLoss/dh', dLoss/dc' of this step; null if not wanted; rows H apart
};

template <class T> struct CellOps {
  ptrdiff_t (*packed_input)(int H, int I) noexcept;  // bytes
  ptrdiff_t (*packed_hidden)(int H, int P) noexcept;
  ptrdiff_t (*row_scratch)(int K) noexcept;  // bytes that a row of K numbers needs during a product
  void (*pack_input)(const T* weight_ih, int H, int I, void* packed) noexcept;
  void (*pack_hidden)(const T* weight_hh, int H, int P, void* packed) noexcept;
  void (*project)(const Project<T>&) noexcept;
  void (*forward)(const StepForward<T>&) noexcept;
  void (*backward)(const StepBackward<T>&) noexcept;
  void (*backward_first)(const StepBackward<T>&) noexcept;  // of the first of two stages, else null
};

template <class T> struct FormatOps {
  const CellOps<T>* cell;  // by CellFacts::index: tanh and sigmoid, no peepholes
  const CellOps<T>* chosen;  // as CellOptions say
};

template <class T> struct Ops {
  int lanes;  // elements of a vector: hidden units are padded to it in packed weights
  int panel_columns;  // columns are padded to it by pack_matrix
  // B[k,n] at source[k * row_stride + n * column_stride] -> panels, zero padded
  void (*pack_matrix)(const T* source, ptrdiff_t row_stride, ptrdiff_t column_stride, int K, int N,
                      T* packed) noexcept;
  void (*gemm)(const Gemm<T>&) noexcept;
  // y = start + W x; W [N,K] as the caller has it, start may be y
  void (*matvec)(const T* weight, int N, int K, const T* x, const T* start, T* y) noexcept;
  void (*outer)(const Outer<T>&) noexcept;
  ptrdiff_t (*outer_scratch)(int N) noexcept;
  // sums[n] (+)= sum over rows m of rows[m][n]; lost [N] carries what was rounded off from call to call
  void (*column_sums)(Rows<const T> rows, int M, int N, bool accumulate, T* sums, T* lost) noexcept;
  // y = f(x), n of them; alpha: the slope of leaky_relu below zero, the scale of elu there
  void (*activate)(Activation f, T alpha, const T* x, T* y, ptrdiff_t n) noexcept;
  // y = exp(x) / sum(exp(x)) over the N of each of M rows, which lie side by side
  void (*softmax)(const T* x, T* y, ptrdiff_t M, ptrdiff_t N) noexcept;
  // sums[n] (+)= sum over rows m of a[m][n] b[m][n]
  void (*column_dots)(Rows<const T> a, Rows<const T> b, int M, int N, bool accumulate, T* sums) noexcept;
  unsigned long long (*checksum)(const T* x, ptrdiff_t n) noexcept;
  // The machine's limits, for benchmarks (kernels/probe.h); both return what was done, operations or bytes.
  double (*multiply_adds)(ptrdiff_t rounds, T& sink) noexcept;
  double (*read_through)(const T* x, ptrdiff_t n, ptrdiff_t rounds, T& sink) noexcept;
  FormatOps<T> format[format_count];  // float64 is native only
};

struct Isa {
  const char* name;
  const CellFacts* cells;
  int cell_count;
  Ops<float> f32;
  Ops<double> f64;
};

}  // namespace pyrnn
