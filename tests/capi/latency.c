/* latency MODEL [BLOCKS]: prints the median, the 99.9th percentile and the maximum of three sets of times, for
 * blocks of 64 samples as in examples/audio.c:
 *
 *   audio   each block, once;
 *   empty   a loop that only counts and takes as long as the median block: the delays that the machine adds;
 *   least   for each block the fastest of RUNS runs from the start: the delays that the library adds, since interrupts
 *           rarely come twice at the same block.
 */
#define _POSIX_C_SOURCE 199309L
#include "check.h"

#include <time.h>

enum { BLOCK = 64, RATE = 48000, RUNS = 5 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e6 * (double)time.tv_sec + 1e-3 * (double)time.tv_nsec;
}

static int ascending(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

/* Returns the median. */
static double report(const char* name, double* times, size_t n) {
  double median, late;
  qsort(times, n, sizeof *times, ascending);
  median = times[n / 2];
  late = times[n * 999 / 1000];
  printf("%-6s median %.2f us, p99.9 %.2f (%.2f times the median), worst %.2f\n", name, median, late, late / median,
         times[n - 1]);
  return median;
}

static double audio(pyrnn_stream* stream, size_t block) {
  float in[BLOCK], out[BLOCK];
  double start;
  size_t i;
  for (i = 0; i < BLOCK; ++i) in[i] = (float)((block * BLOCK + i) * 220 % RATE) / RATE - 0.5f;
  start = now();
  CHECK(pyrnn_stream_run(stream, in, BLOCK, out) == PYRNN_OK);
  return now() - start;
}

static double empty(size_t rounds) {
  const double start = now();
  volatile size_t i;
  for (i = 0; i < rounds; ++i) continue;
  return now() - start;
}

int main(int count, char** arguments) {
  const size_t n = count > 2 ? (size_t)atol(arguments[2]) : 100000;
  pyrnn_model* model = loaded(arguments[1]);
  pyrnn_stream* stream = started(model, 1);
  double *times = calloc(n, sizeof *times), *least = calloc(n, sizeof *least), median, thousand = 1e9, once;
  size_t i;
  int run;
  CHECK(n > 0 && times != NULL && least != NULL);
  CHECK(pyrnn_model_input_size(model) == 1 && pyrnn_model_output_size(model) == 1);
  for (run = 0; run < RUNS; ++run) {
    CHECK(pyrnn_stream_reset(stream, NULL) == PYRNN_OK);
    for (i = 0; i < n; ++i) {
      times[i] = audio(stream, i);
      if (run == 0 || times[i] < least[i]) least[i] = times[i];
    }
  }
  median = report("audio", times, n);
  for (run = 0; run < 100; ++run) {
    once = empty(1000);
    if (once < thousand) thousand = once;
  }
  for (i = 0; i < n; ++i) times[i] = empty((size_t)(1000 * median / thousand));
  report("empty", times, n);
  report("least", least, n);
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  free(times);
  free(least);
  return 0;
}
