/* whole B X Y MODEL: x [T,B,I] of the file X to y [T,B,O] in the file Y, as whole sequences. */
#include "check.h"

int main(int count, char** arguments) {
  const size_t B = (size_t)atoi(arguments[1]);
  pyrnn_model* model = loaded(arguments[count - 1]);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model);
  FILE *in = fopen(arguments[2], "rb"), *out = fopen(arguments[3], "wb");
  size_t T;
  float *x, *y;
  CHECK(in != NULL && out != NULL && fseek(in, 0, SEEK_END) == 0);
  T = (size_t)ftell(in) / sizeof(float) / B / I;
  rewind(in);
  x = numbers(T * B * I, 1);
  y = numbers(T * B * O, 2);
  CHECK(fread(x, sizeof(float), T * B * I, in) == T * B * I);
  CHECK(pyrnn_model_run(model, x, T, B, y) == PYRNN_OK);
  CHECK(fwrite(y, sizeof(float), T * B * O, out) == T * B * O);
  fclose(in);
  fclose(out);
  pyrnn_model_free(model);
  free(x);
  free(y);
  return 0;
}
