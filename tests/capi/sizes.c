/* Numbers of steps and sequences that are too large are refused before anything is read or allocated, and an
 * allocation that is too large fails. Each case gives a sentence and leaks nothing. */
#include "check.h"

#include <stdint.h>

static int invalid(pyrnn_status status) {
  return status == PYRNN_INVALID_ARGUMENT && strstr(pyrnn_last_error(), "should be at most") != NULL;
}

int main(int count, char** arguments) {
  static const size_t large[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 2, SIZE_MAX / 3, (size_t)1 << 40};
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream* stream = started(model, 3);
  const size_t one = pyrnn_stream_bytes(model, 1), most = pyrnn_stream_bytes(model, (size_t)1 << 24);
  float x = 0, y = 0;
  size_t i;
  for (i = 0; i < sizeof large / sizeof *large; ++i) {
    pyrnn_stream* none = stream;
    CHECK(invalid(pyrnn_model_run(model, &x, large[i], 1, &y)));
    CHECK(invalid(pyrnn_model_run(model, &x, 1, large[i], &y)));
    CHECK(invalid(pyrnn_model_run(model, &x, large[i], large[i], &y)));
    CHECK(invalid(pyrnn_model_run(model, &x, large[i], 2, &y)));
    CHECK(large[i] <= SIZE_MAX / 6 || invalid(pyrnn_stream_run(stream, &x, large[i], &y)));
    CHECK(pyrnn_stream_bytes(model, large[i]) == 0 && strstr(pyrnn_last_error(), "batch should be from 1 to") != NULL);
    CHECK(pyrnn_stream_new(model, large[i], &none) == PYRNN_INVALID_ARGUMENT && none == NULL);
  }
  CHECK(one > 0 && most > one && most / one <= (size_t)1 << 24); /* the size is computed, not allocated */
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  return 0;
}
