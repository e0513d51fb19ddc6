/* An input that is not an index of the Embedding is refused before anything is computed: the state stays the same. */
#include "check.h"

enum { ROWS = 7, B = 2, T = 3 };

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream *stream = started(model, B), *other = NULL;
  const size_t O = pyrnn_model_output_size(model);
  const float wrong[] = {-1, ROWS, 0.5f, 1e30f, -1e30f, 0.0f / 0.0f, 1.0f / 0.0f};
  float x[T * B] = {0, 1, 2, 3, 4, ROWS - 1}, *y = numbers(T * B * O, 1), *expected = numbers(T * B * O, 2);
  size_t i;
  CHECK(pyrnn_model_input_size(model) == 1);
  CHECK(pyrnn_stream_run(stream, x, T, y) == PYRNN_OK);
  CHECK(pyrnn_stream_clone(stream, &other) == PYRNN_OK);
  for (i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    x[3] = wrong[i];
    CHECK(pyrnn_stream_run(stream, x, T, y) == PYRNN_INVALID_ARGUMENT);
    CHECK(strstr(pyrnn_last_error(),
                 "pyrnn_stream_run: x[3] should be an index of the Embedding, a whole number from 0 to 6"));
    CHECK(pyrnn_stream_step(stream, x + 2, y) == PYRNN_INVALID_ARGUMENT && strstr(pyrnn_last_error(), "x[1]"));
    CHECK(pyrnn_model_run(model, x, T, B, y) == PYRNN_INVALID_ARGUMENT && strstr(pyrnn_last_error(), "x[3]"));
  }
  x[3] = 3;
  CHECK(pyrnn_stream_run(stream, x, T, y) == PYRNN_OK && pyrnn_stream_run(other, x, T, expected) == PYRNN_OK);
  CHECK(same(y, expected, T * B * O));
  pyrnn_stream_free(stream);
  pyrnn_stream_free(other);
  pyrnn_model_free(model);
  free(y);
  free(expected);
  return 0;
}
