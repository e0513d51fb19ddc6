/* A real-time audio effect: it runs blocks of 64 samples at 48 kHz through a model with one input and one output,
 * such as Sequential(LSTM(1, 40), Linear(40, 1)), and adds the output to the sound. It prints the time that a block
 * takes.
 *
 *   audio MODEL [BLOCKS]
 */
#define _POSIX_C_SOURCE 199309L
#include <pyrnn.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOCK = 64, RATE = 48000 };

/* A host calls this from its audio thread: nothing in it waits. */
static void process(pyrnn_stream* stream, const float* in, float* out) {
  int i;
  pyrnn_stream_run(stream, in, BLOCK, out);
  for (i = 0; i < BLOCK; ++i) out[i] += in[i];
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e6 * (double)time.tv_sec + 1e-3 * (double)time.tv_nsec;
}

static int ascending(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

/* Writes a saw-tooth of 220 Hz, in place of a guitar. */
static void play(float* in, long block) {
  int i;
  for (i = 0; i < BLOCK; ++i) in[i] = (float)((block * BLOCK + i) * 220 % RATE) / RATE - 0.5f;
}

int main(int count, char** arguments) {
  const long blocks = count > 2 ? atol(arguments[2]) : RATE / BLOCK;
  pyrnn_model* model = NULL;
  pyrnn_stream* stream = NULL;
  float in[BLOCK], out[BLOCK];
  double* times = malloc((size_t)blocks * sizeof(double));
  long block;
  if (count < 2 || blocks < 1 || !times) return fprintf(stderr, "audio MODEL [BLOCKS]\n"), 2;
  if (pyrnn_model_load(arguments[1], &model) || pyrnn_stream_new(model, 1, &stream))
    return fprintf(stderr, "%s\n", pyrnn_last_error()), 1;
  if (pyrnn_model_input_size(model) != 1 || pyrnn_model_output_size(model) != 1)
    return fprintf(stderr, "expected a model of one input and one output\n"), 1;
  for (block = 0; block < blocks; ++block) {
    const double start = now();
    play(in, block);
    process(stream, in, out);
    times[block] = now() - start;
  }
  qsort(times, (size_t)blocks, sizeof(double), ascending);
  printf("%s: median %.1f us a block, p99.9 %.1f us, worst %.1f us; there are %.1f us; last sample %.9g\n",
         pyrnn_isa(), times[blocks / 2], times[blocks * 999 / 1000], times[blocks - 1], 1e6 * BLOCK / RATE,
         (double)out[BLOCK - 1]);
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  free(times);
  return 0;
}
