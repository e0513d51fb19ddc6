/* After a reset a stream behaves as a new one; a reset of some rows does not change the others. */
#include "check.h"

enum { B = 3, T = 5 };

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream *used = started(model, B), *fresh = started(model, B), *going_on = NULL;
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model);
  const unsigned char rows[B] = {0, 1, 0};
  float *x = numbers(T * B * I, 3), *y = numbers(T * B * O, 4), *expected = numbers(T * B * O, 5);
  float *of_fresh = numbers(B * O, 6), *of_going_on = numbers(B * O, 7);
  size_t row;

  CHECK(pyrnn_stream_run(fresh, x, T, expected) == PYRNN_OK);
  CHECK(pyrnn_stream_run(used, x, T, y) == PYRNN_OK);
  CHECK(pyrnn_stream_run(used, x, T, y) == PYRNN_OK);
  CHECK(!same(y, expected, T * B * O));
  CHECK(pyrnn_stream_clone(used, &going_on) == PYRNN_OK);
  CHECK(pyrnn_stream_reset(used, NULL) == PYRNN_OK);
  CHECK(pyrnn_stream_run(used, x, T, y) == PYRNN_OK);
  CHECK(same(y, expected, T * B * O));

  pyrnn_stream_free(used);
  CHECK(pyrnn_stream_clone(going_on, &used) == PYRNN_OK);
  CHECK(pyrnn_stream_reset(used, rows) == PYRNN_OK);
  CHECK(pyrnn_stream_reset(fresh, NULL) == PYRNN_OK);
  CHECK(pyrnn_stream_step(used, x, y) == PYRNN_OK);
  CHECK(pyrnn_stream_step(fresh, x, of_fresh) == PYRNN_OK);
  CHECK(pyrnn_stream_step(going_on, x, of_going_on) == PYRNN_OK);
  for (row = 0; row < B; ++row) CHECK(same(y + row * O, (rows[row] ? of_fresh : of_going_on) + row * O, O));
  CHECK(!same(of_fresh, of_going_on, B * O));
  pyrnn_stream_free(used);
  pyrnn_stream_free(fresh);
  pyrnn_stream_free(going_on);
  pyrnn_model_free(model);
  free(x);
  free(y);
  free(expected);
  free(of_fresh);
  free(of_going_on);
  return 0;
}
