/* ahead MODEL: asks for a stream of a model that looks ahead, and prints the status and the sentence of the refusal. */
#include "check.h"

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream* stream = NULL;
  char memory[4096];
  const pyrnn_status status = pyrnn_stream_new(model, 1, &stream);
  CHECK(status != PYRNN_OK && stream == NULL);
  printf("%s: %s\n", pyrnn_status_name(status), pyrnn_last_error());
  CHECK(pyrnn_stream_bytes(model, 1) == 0);
  CHECK(pyrnn_stream_init(model, 1, memory, sizeof memory, &stream) == status && stream == NULL);
  pyrnn_model_free(model);
  return 0;
}
