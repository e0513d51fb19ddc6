/* A stream in the caller's memory, at any address: the library allocates nothing for it, its outputs equal those of
 * another stream, and too little memory is refused. This program defines a malloc that counts; the library's
 * operator new calls it. */
#include "check.h"

void* __libc_malloc(size_t size);

static volatile long calls = 0;

void* malloc(size_t size) { return ++calls, __libc_malloc(size); }

enum { B = 3, T = 60 };

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream *usual = started(model, B), *stream = NULL;
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model);
  const size_t bytes = pyrnn_stream_bytes(model, B);
  float *x = numbers(T * B * I, 3), *y = numbers(T * B * O, 4), *expected = numbers(T * B * O, 5);
  char* memory = malloc(bytes + 64 + 8);
  size_t offset;
  CHECK(bytes > 0 && memory != NULL);
  CHECK(pyrnn_stream_run(usual, x, T, expected) == PYRNN_OK);
  for (offset = 0; offset <= 64; offset += 13) {
    const long before = calls;
    memset(memory, 0x7f, bytes + 64 + 8);
    CHECK(pyrnn_stream_init(model, B, memory + offset, bytes, &stream) == PYRNN_OK);
    CHECK((char*)stream >= memory + offset && (char*)stream < memory + offset + bytes);
    CHECK(pyrnn_stream_run(stream, x, T, y) == PYRNN_OK);
    CHECK(same(y, expected, T * B * O));
    pyrnn_stream_free(stream);
    CHECK(calls == before);
    CHECK(memory[offset + bytes] == 0x7f && memory[offset + bytes + 7] == 0x7f &&
          (!offset || memory[offset - 1] == 0x7f));
  }
  for (offset = 0; offset + 64 < bytes; offset += 61) {
    stream = usual;
    CHECK(pyrnn_stream_init(model, B, memory, offset, &stream) == PYRNN_OUT_OF_MEMORY && stream == NULL);
    CHECK(strstr(pyrnn_last_error(), "pyrnn_stream_bytes") != NULL);
  }
  pyrnn_stream_free(usual);
  pyrnn_model_free(model);
  free(memory);
  free(x);
  free(y);
  free(expected);
  return 0;
}
