/* A run of a + b steps gives the same bits as a run of a and one of b steps, for every cut; so do single steps, and
   any batch. */
#include "check.h"

enum { B = 3, T = 60 }; /* more rows than the library computes at once */

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream *stream = started(model, B), *single = started(model, 1);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model);
  float *x = numbers(T * B * I, 3), *y = numbers(T * B * O, 4), *expected = numbers(T * B * O, 5);
  size_t cut, t;

  CHECK(pyrnn_stream_run(stream, x, T, expected) == PYRNN_OK);
  for (cut = 0; cut <= T; ++cut) {
    CHECK(pyrnn_stream_reset(stream, NULL) == PYRNN_OK);
    CHECK(pyrnn_stream_run(stream, x, cut, y) == PYRNN_OK);
    CHECK(pyrnn_stream_run(stream, x + cut * B * I, T - cut, y + cut * B * O) == PYRNN_OK);
    CHECK(same(y, expected, T * B * O));
  }
  CHECK(pyrnn_stream_reset(stream, NULL) == PYRNN_OK);
  for (t = 0; t < T; ++t) {
    CHECK(pyrnn_stream_step(stream, x + t * B * I, y + t * B * O) == PYRNN_OK);
    CHECK(pyrnn_stream_step(single, x + (t * B + 1) * I, y + (t * B + 1) * O) == PYRNN_OK);
  }
  CHECK(same(y, expected, T * B * O));
  pyrnn_stream_free(stream);
  pyrnn_stream_free(single);
  pyrnn_model_free(model);
  free(x);
  free(y);
  free(expected);
  return 0;
}
