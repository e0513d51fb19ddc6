/* outputs HOW B X Y MODEL: reads x [T,B,I] from the file X and writes y [T,B,O] to the file Y. HOW is `whole`
 * (pyrnn_model_run) or `stream` (half of the steps in one run, the rest in single steps). */
#include "check.h"

static void streamed(const pyrnn_model* model, size_t B, const float* x, size_t T, float* y) {
  pyrnn_stream* stream = started(model, B);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model);
  size_t t;
  CHECK(pyrnn_stream_run(stream, x, T / 2, y) == PYRNN_OK);
  for (t = T / 2; t < T; ++t) CHECK(pyrnn_stream_step(stream, x + t * B * I, y + t * B * O) == PYRNN_OK);
  pyrnn_stream_free(stream);
}

int main(int count, char** arguments) {
  const size_t B = (size_t)atoi(arguments[2]);
  pyrnn_model* model = loaded(arguments[count - 1]);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model);
  FILE *in = fopen(arguments[3], "rb"), *out = fopen(arguments[4], "wb");
  size_t T;
  float *x, *y;
  CHECK(in != NULL && out != NULL && fseek(in, 0, SEEK_END) == 0);
  T = (size_t)ftell(in) / sizeof(float) / B / I;
  rewind(in);
  x = numbers(T * B * I, 1);
  y = numbers(T * B * O, 2);
  CHECK(fread(x, sizeof(float), T * B * I, in) == T * B * I);
  if (strcmp(arguments[1], "whole") == 0) CHECK(pyrnn_model_run(model, x, T, B, y) == PYRNN_OK);
  else streamed(model, B, x, T, y);
  CHECK(fwrite(y, sizeof(float), T * B * O, out) == T * B * O);
  fclose(in);
  fclose(out);
  pyrnn_model_free(model);
  free(x);
  free(y);
  return 0;
}
