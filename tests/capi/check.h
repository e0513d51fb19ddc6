/* Used by all programs: a check that prints its line, and functions that load a model or make a stream, or else
   print the library's sentence and exit. */
#include <pyrnn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(holds)                                                                                  \
  do {                                                                                                \
    if (!(holds)) {                                                                                   \
      fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #holds, pyrnn_last_error()); \
      exit(1);                                                                                        \
    }                                                                                                 \
  } while (0)

static inline pyrnn_model* loaded(const char* path) {
  pyrnn_model* model = NULL;
  CHECK(pyrnn_model_load(path, &model) == PYRNN_OK);
  return model;
}

static inline pyrnn_stream* started(const pyrnn_model* model, size_t batch) {
  pyrnn_stream* stream = NULL;
  CHECK(pyrnn_stream_new(model, batch, &stream) == PYRNN_OK);
  return stream;
}

/* Returns n numbers in [-1, 1), the same for the same seed; the caller frees them. */
static inline float* numbers(size_t n, unsigned seed) {
  float* all = malloc(n * sizeof(float) + 1);
  size_t i;
  CHECK(all != NULL);
  for (i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u; /* Numerical Recipes */
    all[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
  }
  return all;
}

static inline int same(const float* a, const float* b, size_t n) { return memcmp(a, b, n * sizeof(float)) == 0; }
