/* A clone continues independently of its stream, and so does a row of a state written to another stream; the order
   of freeing does not matter. */
#include "check.h"

enum { B = 3, T = 7 };

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream *first = started(model, B), *clone = NULL, *single = started(model, 1);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model),
               S = pyrnn_model_state_size(model);
  float *x = numbers(T * B * I, 3), *y = numbers(T * B * O, 4), *expected = numbers(T * B * O, 5);
  float *state = numbers(B * S, 6), *again = numbers(B * S, 7);

  CHECK(pyrnn_stream_run(first, x, T, y) == PYRNN_OK);
  CHECK(pyrnn_stream_clone(first, &clone) == PYRNN_OK);
  CHECK(pyrnn_stream_batch(clone) == B);
  CHECK(pyrnn_stream_state_get(first, state) == PYRNN_OK);
  CHECK(pyrnn_stream_run(first, x, T, expected) == PYRNN_OK);
  CHECK(pyrnn_stream_state_get(clone, again) == PYRNN_OK);
  CHECK(same(state, again, B * S)); /* running the first stream left the clone's state unchanged */
  pyrnn_stream_free(first);
  pyrnn_model_free(model);
  CHECK(pyrnn_stream_run(clone, x, T, y) == PYRNN_OK);
  CHECK(same(y, expected, T * B * O));

  CHECK(pyrnn_stream_state_set(clone, state) == PYRNN_OK);
  CHECK(pyrnn_stream_run(clone, x, T, y) == PYRNN_OK);
  CHECK(same(y, expected, T * B * O));

  CHECK(pyrnn_stream_state_set(single, state + 2 * S) == PYRNN_OK);
  CHECK(pyrnn_stream_step(single, x + 2 * I, y) == PYRNN_OK);
  CHECK(same(y, expected + 2 * O, O));
  pyrnn_stream_free(clone);
  pyrnn_stream_free(single);
  free(x);
  free(y);
  free(expected);
  free(state);
  free(again);
  return 0;
}
