/* A file that ends early is refused, and one with a flipped bit in its header is refused or harmless. Each variant
 * is in a heap block of its own, so that a sanitizer sees a read beyond its end. */
#include "check.h"

static unsigned char* contents(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  unsigned char* bytes;
  CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
  *size = (size_t)ftell(file);
  rewind(file);
  bytes = malloc(*size);
  CHECK(bytes != NULL && fread(bytes, 1, *size, file) == *size);
  fclose(file);
  return bytes;
}

/* Returns whether the library accepts the bytes as a model; an accepted model must also run a step. */
static int taken(const unsigned char* bytes, size_t size) {
  pyrnn_model* model = NULL;
  unsigned char* copy = malloc(size ? size : 1);
  pyrnn_status status;
  CHECK(copy != NULL);
  memcpy(copy, bytes, size);
  status = pyrnn_model_from_memory(copy, size, &model);
  free(copy);
  if (status == PYRNN_OK) {
    pyrnn_stream* stream = started(model, 1);
    float *x = numbers(pyrnn_model_input_size(model), 1), *y = numbers(pyrnn_model_output_size(model), 2);
    CHECK(pyrnn_stream_step(stream, x, y) == PYRNN_OK);
    free(x);
    free(y);
    pyrnn_stream_free(stream);
    pyrnn_model_free(model);
    return 1;
  }
  CHECK(status == PYRNN_INVALID_FILE || status == PYRNN_UNSUPPORTED);
  CHECK(model == NULL && strstr(pyrnn_last_error(), "the model cannot be loaded: ") == pyrnn_last_error());
  return 0;
}

int main(int count, char** arguments) {
  size_t size, header, i;
  int bit, refused = 0;
  unsigned char* bytes = contents(arguments[count - 1], &size);
  CHECK(taken(bytes, size));
  for (i = 0; i < size; ++i) CHECK(!taken(bytes, i));
  header = 8 + bytes[0] + 256u * bytes[1];
  CHECK(header < size);
  for (i = 0; i < header; ++i)
    for (bit = 0; bit < 8; ++bit) {
      bytes[i] ^= (unsigned char)(1 << bit);
      refused += !taken(bytes, size);
      bytes[i] ^= (unsigned char)(1 << bit);
    }
  CHECK(refused > 4 * (int)header); /* over half of the flips; the others change names of layers or unused options */
  free(bytes);
  return 0;
}
