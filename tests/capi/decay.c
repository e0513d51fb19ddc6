/* Silence after a loud input: what is left of it decays to zero, and no subnormal number, on which a CPU is slow, is
 * ever in the state or the output; the model has no biases. */
#include "check.h"

#include <float.h>
#include <math.h>

static int subnormal(float value) { return value != 0 && fabsf(value) < FLT_MIN; }

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream* stream = started(model, 1);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model),
               S = pyrnn_model_state_size(model);
  float *x = numbers(I, 3), *y = numbers(O, 4), *state = numbers(S, 5), loudest = 0;
  size_t i;
  int step;
  for (i = 0; i < I; ++i) x[i] *= 100;
  for (step = 0; step < 10; ++step) CHECK(pyrnn_stream_step(stream, x, y) == PYRNN_OK);
  for (i = 0; i < O; ++i) loudest = fmaxf(loudest, fabsf(y[i]));
  CHECK(loudest > 0.1f);
  memset(x, 0, I * sizeof(float));
  for (step = 0; step < 3000; ++step) {
    CHECK(pyrnn_stream_step(stream, x, y) == PYRNN_OK);
    CHECK(pyrnn_stream_state_get(stream, state) == PYRNN_OK);
    for (i = 0; i < O; ++i) CHECK(!subnormal(y[i]));
    for (i = 0; i < S; ++i) CHECK(!subnormal(state[i]));
  }
  for (i = 0; i < S; ++i) CHECK(state[i] == 0);
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  free(x);
  free(y);
  free(state);
  return 0;
}
