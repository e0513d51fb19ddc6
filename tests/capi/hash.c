/* hash STEPS MODEL: prints the instruction set and the hash of the outputs for the same inputs as the test programs
 * of export.c. It runs half of the inputs step by step, the rest in blocks of other lengths. */
#include "check.h"

enum { MOST = 64 };

static unsigned random_bits = 1, found = 2166136261u;

static void draw(float* x, size_t n) {
  size_t i;
  for (i = 0; i < n; ++i) {
    random_bits = random_bits * 1664525u + 1013904223u;
    x[i] = (float)((int)(random_bits >> 8) - 8388608) / 4194304.0f;
  }
}

static void add(const float* y, size_t n) {
  size_t i;
  unsigned bits;
  for (i = 0; i < n; ++i) {
    memcpy(&bits, &y[i], sizeof bits);
    found = (found ^ bits) * 16777619u;
  }
}

int main(int count, char** arguments) {
  const size_t T = (size_t)atoi(arguments[1]);
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream* stream = started(model, 1);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model);
  float *x = numbers(MOST * I, 1), *y = numbers(MOST * O, 2);
  size_t t, block;
  for (t = 0; t < T; t += block) {
    block = t < T / 2 ? 1 : 1 + t % MOST;
    if (block > T - t) block = T - t;
    draw(x, block * I);
    if (block == 1) CHECK(pyrnn_stream_step(stream, x, y) == PYRNN_OK);
    else CHECK(pyrnn_stream_run(stream, x, block, y) == PYRNN_OK);
    add(y, block * O);
  }
  printf("%s %08x\n", pyrnn_isa(), found);
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  free(x);
  free(y);
  return 0;
}
