// The kernel table: the functions of the code that is compiled once per ISA (simd/, kernels/, cells/) that ordinary
// C++ (engine/ and above) may call.
//
// Each ISA exports one table of function pointers, and both sides include this header of plain structs. Kernels do not
// throw, do not allocate, use no containers of std, and are in unnamed namespaces: if the linker saw an inline
// function compiled for AVX-512, it could use it in code that must run on every CPU.
//
// Letters in shapes: T time, B batch, I input, H hidden, P recurrent width (proj_size or H), G gates, S slots, K N M
// of a product. The glossary of csrc/README.md defines these and the terms.
#pragma once

#include <cstddef>

#include "dispatch/names.h"

namespace pyrnn {

// Functions of one element. A cell can use the first of them, up to hard_sigmoid_keras3; a layer of its own can be
// any.
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
enum class Peephole { i, o, f };  // in the order of ONNX's parameter P

// How weight matrices are stored: `native` in the type of the parameters; `bf16` in bfloat16, with float32 arithmetic;
// `int8` in bytes with one scale per row, and inputs and states quantised at every step (kernels/int8.h). W_hr and the
// biases are always stored natively.
enum class Format { native, bf16, int8 };
constexpr int format_count = 3;
// The largest K of a product in int8: K 127 127 < 2^31. With unsigned activations (VnniDot) a partial sum passes 2^31
// sooner, but it wraps around and back.
constexpr int largest_int8_inner = 133144;

// Consecutive slots that a product with W_hh is added to, in the order of the rows of W_hh.
struct HiddenSlots {
  int slot, gates;  // first slot, number of gate blocks
  int input;  // the slot that W_hh multiplies, r h of gru_reset_before; -1: it multiplies h
};
constexpr int most_products = 2;

// The facts about a cell. Each cell of cells/ states the first part beside the equations; cells/table.h derives the rest from
// the stages. The engine, the readers and Python (`_core.cells()`) read them from the kernel table.
struct CellFacts {
  const char* name;  // "gru_reset_before"
  const char* layer;  // the class of the layer, as in torch: "GRU"
  Names gates;  // the blocks of H rows in weight_ih, weight_hh and the biases
  Names slots;  // the numbers that a step keeps per unit, for backward and for traces
  Names states;  // "h", or "h c"
  bool recurrent_activation = false, peephole = false, projection = false;  // which options a layer has
  bool passes_state = false;  // part of dLoss/dh flows to the previous step without W_hh, as in (1 - z) n + z h

  int index = 0;  // its place among the cells, and in FormatOps
  int sums = 0;  // the number of sums; backward computes a gradient of each
  HiddenSlots hidden[most_products] = {};
  int products = 0;  // the number of entries in `hidden`

  constexpr bool has_second_product() const noexcept { return hidden[1].input >= 0 && products == 2; }
};

// The choices that a network has in its cell's equations. Only the entries of FormatOps::chosen read them.
template <class T> struct CellOptions {
  Activation activation = Activation::tanh, recurrent_activation = Activation::sigmoid;
  const T* peephole = nullptr;  // [3,H] and one readable vector behind, or null; LSTM only
};

// One row of one step; lists of them name the rows that a kernel works on.
struct RowAt {
  int step, row;
};

// Rows of numbers indexed by (step, batch row): row m is step m / batch, batch row m % batch. Strides count elements;
// a negative step stride goes back in time. The elements of a row are adjacent.
template <class T> struct Rows {
  T* data;
  ptrdiff_t step_stride;
  ptrdiff_t row_stride;
  int batch;
  const RowAt* list = nullptr;  // if given, row m is the one that list[m] names
};

// C[M,N] = start + A[M,K] B[K,N]. The start is C itself if `accumulate`, else the bias, else zero.
template <class T> struct Gemm {
  int M, N, K;
  Rows<const T> a;
  const T* b;  // packed by pack_matrix
  int b_rows;  // rows of the packed matrix (>= first + K)
  int b_first;  // first row used
  const T* bias;  // [N] and one readable vector behind, or null
  bool accumulate;
  Rows<T> c;
};

// C[M,N] = or += (accumulate) the sum over rows k of A[k,m] B[k,n], for one B or two: the gradients of weight
// matrices.
template <class T> struct Outer {
  struct Right {
    int N;
    Rows<const T> b;
    T* c;  // element m, n at c[m * c_row + n * c_column]
    ptrdiff_t c_row, c_column;
  };
  int M, K;
  Rows<const T> a;
  Right right[2];  // skipped if N is 0
  bool accumulate;
  T* scratch;  // outer_scratch(N) elements for the sum N of both
};

// A call works on the hidden units [first, end); first is a multiple of Ops::lanes.
struct Units {
  int first, end;
};

// Writes the inputs' part of the sums, bias + W_ih x, into slots of `gates`, for M rows of any steps.
template <class T> struct Project {
  int M, I, H;
  Units units;
  Rows<const T> x;
  const void* weight_ih;  // packed by pack_input
  const T* bias;  // [G*H]
  Rows<T> gates;
  void* scratch;  // M * row_scratch(I) bytes
};

// One time step of B rows, those that `rows` lists if it is given. If x is null, `gates` holds on entry the sums that
// `project` wrote; else the step computes the inputs' part itself. With `keep`, `gates` holds on exit what backward
// needs (cells/*.h): S slots of H numbers per row. h, c and y have one row per batch row; c is null except for the
// LSTM.
template <class T> struct StepForward {
  int B, I, H, P;
  Units units;
  const RowAt* rows;
  CellOptions<T> options;
  const T* x;  // [B,I], or null if `project` has run
  ptrdiff_t x_stride;
  const void* weight_ih;  // packed by pack_input
  const T* bias;  // [G*H]
  const void* weight_hh;  // packed by pack_hidden
  const T* bias_hh;  // [H]: b_hn of the GRU; unused by other cells
  void* scratch;  // B * (row_scratch(I) + row_scratch(P)) bytes
  T* gates;
  ptrdiff_t gates_stride;
  bool keep;
  const T *h_prev, *c_prev;
  T *h, *c, *y;  // y, the output, receives a copy of h; it may be null
  ptrdiff_t h_prev_stride, h_stride, y_stride;  // c rows are H apart
};

// The elementwise part of one step backward. The gradient of the step's h arrives in three parts: `product` is da W_hh
// of the next step; `direct` is the part that did not go through that product (GRU: dh z), and the call replaces it by
// this step's; `dy` is the gradient of the output. They are separate because a long sum that starts from a large
// number loses digits: adding da W_hh to dh z made the error of the GRU's dh0 7 times as large (T = 100, H = 128).
template <class T> struct StepBackward {
  int B, H;
  Units units;
  const RowAt* rows;
  CellOptions<T> options;
  const T* gates;  // which the forward step kept
  T* da;  // out: gradients of the S sums
  ptrdiff_t gates_stride, da_stride;
  const T *h_prev, *c_prev;
  ptrdiff_t h_prev_stride;
  const T *product, *dy;  // either may be null; product rows are H apart
  T* direct;  // null except for the GRU; rows H apart
  T* dc;  // in and out, rows H apart: LSTM d(c); gru_reset_before d(r h); else null
  ptrdiff_t dy_stride;
  T *dh_total, *dc_total;  // out: dLoss/dh', dLoss/dc' of this step; null: not computed; rows H apart
};

template <class T> struct CellOps {
  ptrdiff_t (*packed_input)(int H, int I) noexcept;  // bytes
  ptrdiff_t (*packed_hidden)(int H, int P) noexcept;
  ptrdiff_t (*row_scratch)(int K) noexcept;  // bytes of scratch per row of K numbers in a product
  void (*pack_input)(const T* weight_ih, int H, int I, void* packed) noexcept;
  void (*pack_hidden)(const T* weight_hh, int H, int P, void* packed) noexcept;
  void (*project)(const Project<T>&) noexcept;
  void (*forward)(const StepForward<T>&) noexcept;
  void (*backward)(const StepBackward<T>&) noexcept;
  void (*backward_first)(const StepBackward<T>&) noexcept;  // the first of two stages; null for a cell of one
};

template <class T> struct FormatOps {
  const CellOps<T>* cell;  // the standard functions: tanh and sigmoid, no peepholes; indexed by CellFacts::index
  const CellOps<T>* chosen;  // the functions that CellOptions name
};

template <class T> struct Ops {
  int lanes;  // elements of a vector: hidden units are padded to it in packed weights
  int panel_columns;  // columns are padded to it by pack_matrix
  // Packs B[k,n], which is at source[k * row_stride + n * column_stride], into zero-padded panels.
  void (*pack_matrix)(const T* source, ptrdiff_t row_stride, ptrdiff_t column_stride, int K, int N,
                      T* packed) noexcept;
  void (*gemm)(const Gemm<T>&) noexcept;
  // y = start + W x, where W [N,K] is not packed; start may be y.
  void (*matvec)(const T* weight, int N, int K, const T* x, const T* start, T* y) noexcept;
  void (*outer)(const Outer<T>&) noexcept;
  ptrdiff_t (*outer_scratch)(int N) noexcept;
  // sums[n] = or += the sum over rows m of rows[m][n]; lost [N] carries the rounding errors from call to call.
  void (*column_sums)(Rows<const T> rows, int M, int N, bool accumulate, T* sums, T* lost) noexcept;
  // y[i] = f(x[i]) for n elements; alpha is the slope of leaky_relu below zero, or the scale of elu there.
  void (*activate)(Activation f, T alpha, const T* x, T* y, ptrdiff_t n) noexcept;
  // y = exp(x) / sum(exp(x)) for each of M contiguous rows of N elements.
  void (*softmax)(const T* x, T* y, ptrdiff_t M, ptrdiff_t N) noexcept;
  // sums[n] = or += the sum over rows m of a[m][n] b[m][n].
  void (*column_dots)(Rows<const T> a, Rows<const T> b, int M, int N, bool accumulate, T* sums) noexcept;
  unsigned long long (*checksum)(const T* x, ptrdiff_t n) noexcept;
  // The machine's limits, for benchmarks (kernels/probe.h): the first returns the operations that it did, the second
  // the bytes that it read.
  double (*multiply_adds)(ptrdiff_t rounds, T& sink) noexcept;
  double (*read_through)(const T* x, ptrdiff_t n, ptrdiff_t rounds, T& sink) noexcept;
  FormatOps<T> format[format_count];  // double has only `native`
};

struct Isa {
  const char* name;
  const CellFacts* cells;
  int cell_count;
  Ops<float> f32;
  Ops<double> f64;
};

}  // namespace pyrnn
