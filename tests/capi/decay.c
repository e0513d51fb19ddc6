/* Silence after a loud input costs no more than the loud input did: the state decays to zero and is never subnormal,
 * nor is an output (CPUs are slow on subnormals). On x86-64 the exception flags show that no operation on the way
 * reads or produces a subnormal. Prints the time of a step. The model has no biases. */
#define _POSIX_C_SOURCE 199309L
#include "check.h"

#include <float.h>
#include <math.h>
#include <time.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
enum { OPERAND = 0x02, RESULT = 0x10 }; /* flags: an operand was subnormal; a result underflowed */
static void clear_flags(void) { _mm_setcsr(_mm_getcsr() & ~0x3fu); }
static int slow(void) { return (_mm_getcsr() & (OPERAND | RESULT)) != 0; }
#else
static void clear_flags(void) {}
static int slow(void) { return 0; }
#endif

enum { STEPS = 3000, TIMED = 100 };

static int subnormal(float value) { return value != 0 && fabsf(value) < FLT_MIN; }

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

/* Returns the nanoseconds of a step in the fastest of several tries, each of which starts from the same state. */
static double cost(pyrnn_stream* stream, const float* state, const float* x, float* y) {
  double best = 1e9;
  int repeat, step;
  for (repeat = 0; repeat < 20; ++repeat) {
    double start;
    CHECK(pyrnn_stream_state_set(stream, state) == PYRNN_OK);
    start = now();
    for (step = 0; step < TIMED; ++step) CHECK(pyrnn_stream_step(stream, x, y) == PYRNN_OK);
    best = fmin(best, (now() - start) / TIMED);
  }
  return best;
}

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream* stream = started(model, 1);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model),
               S = pyrnn_model_state_size(model);
  float *x = numbers(I, 3), *y = numbers(O, 4), *state = numbers(S, 5), loudest = 0;
  double loud, silent = 0;
  size_t i;
  int step;
  for (i = 0; i < I; ++i) x[i] *= 100;
  for (step = 0; step < 10; ++step) CHECK(pyrnn_stream_step(stream, x, y) == PYRNN_OK);
  for (i = 0; i < O; ++i) loudest = fmaxf(loudest, fabsf(y[i]));
  CHECK(loudest > 0.1f);
  CHECK(pyrnn_stream_state_get(stream, state) == PYRNN_OK);
  loud = cost(stream, state, x, y);
  CHECK(pyrnn_stream_state_set(stream, state) == PYRNN_OK);
  memset(x, 0, I * sizeof(float));
  for (step = 0; step < STEPS; ++step) {
    clear_flags();
    CHECK(pyrnn_stream_step(stream, x, y) == PYRNN_OK);
    CHECK(!slow());
    CHECK(pyrnn_stream_state_get(stream, state) == PYRNN_OK);
    for (i = 0; i < O; ++i) CHECK(!subnormal(y[i]));
    for (i = 0; i < S; ++i) CHECK(!subnormal(state[i]));
    if (step % TIMED) continue;
    silent = fmax(silent, cost(stream, state, x, y));
    CHECK(pyrnn_stream_state_set(stream, state) == PYRNN_OK);
  }
  for (i = 0; i < S; ++i) CHECK(state[i] == 0);
  printf("%s: %.1f ns a step when loud, at most %.1f in the silence after\n", pyrnn_isa(), loud, silent);
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  free(x);
  free(y);
  free(state);
  return 0;
}
