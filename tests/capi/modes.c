/* A caller that computes in another mode, here rounding down, gets the same bits, and its own mode back. */
#include "check.h"

#include <fenv.h>

enum { T = 20 };

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream* stream = started(model, 1);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model);
  float *x = numbers(T * I, 3), *y = numbers(T * O, 4), *expected = numbers(T * O, 5);
  size_t t;
  CHECK(pyrnn_stream_run(stream, x, T, expected) == PYRNN_OK);
  CHECK(pyrnn_stream_reset(stream, NULL) == PYRNN_OK);
  CHECK(fesetround(FE_DOWNWARD) == 0);
  for (t = 0; t < T; ++t) CHECK(pyrnn_stream_step(stream, x + t * I, y + t * O) == PYRNN_OK);
  CHECK(fegetround() == FE_DOWNWARD);
  CHECK(same(y, expected, T * O));
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  free(x);
  free(y);
  free(expected);
  return 0;
}
