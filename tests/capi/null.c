/* A NULL argument that is needed is refused with a sentence; a NULL that is optional is accepted. */
#include "check.h"

static int refused(pyrnn_status status) {
  return status == PYRNN_INVALID_ARGUMENT && strstr(pyrnn_last_error(), "NULL") != NULL;
}

int main(int count, char** arguments) {
  pyrnn_model *model = loaded(arguments[count - 1]), *none = model;
  pyrnn_stream *stream = started(model, 1), *other = stream;
  char memory[4096];
  float *x = numbers(pyrnn_model_input_size(model), 1), *y = numbers(pyrnn_model_output_size(model), 2);

  CHECK(refused(pyrnn_model_load(NULL, &none)) && none == NULL);
  CHECK(refused(pyrnn_model_load(arguments[1], NULL)));
  none = model;
  CHECK(refused(pyrnn_model_from_memory(NULL, 8, &none)) && none == NULL);
  CHECK(refused(pyrnn_model_from_memory(x, 4, NULL)));
  CHECK(refused(pyrnn_stream_new(NULL, 1, &other)) && other == NULL);
  CHECK(refused(pyrnn_stream_new(model, 1, NULL)));
  other = stream;
  CHECK(refused(pyrnn_stream_init(NULL, 1, memory, sizeof memory, &other)) && other == NULL);
  CHECK(refused(pyrnn_stream_init(model, 1, NULL, sizeof memory, &other)) && other == NULL);
  CHECK(refused(pyrnn_stream_init(model, 1, memory, sizeof memory, NULL)));
  CHECK(pyrnn_stream_bytes(NULL, 1) == 0 && pyrnn_stream_bytes(model, 0) == 0);
  CHECK(refused(pyrnn_model_run(NULL, x, 1, 1, y)));
  CHECK(refused(pyrnn_model_run(model, NULL, 1, 1, y)));
  CHECK(refused(pyrnn_model_run(model, x, 1, 1, NULL)));
  other = stream;
  CHECK(refused(pyrnn_stream_clone(NULL, &other)) && other == NULL);
  CHECK(refused(pyrnn_stream_clone(stream, NULL)));
  CHECK(refused(pyrnn_stream_step(NULL, x, y)));
  CHECK(refused(pyrnn_stream_step(stream, NULL, y)));
  CHECK(refused(pyrnn_stream_step(stream, x, NULL)));
  CHECK(refused(pyrnn_stream_run(NULL, x, 1, y)));
  CHECK(refused(pyrnn_stream_run(stream, NULL, 1, y)));
  CHECK(refused(pyrnn_stream_run(stream, x, 1, NULL)));
  CHECK(refused(pyrnn_stream_reset(NULL, NULL)));
  CHECK(refused(pyrnn_stream_state_get(NULL, y)));
  CHECK(refused(pyrnn_stream_state_get(stream, NULL)));
  CHECK(refused(pyrnn_stream_state_set(NULL, x)));
  CHECK(refused(pyrnn_stream_state_set(stream, NULL)));

  CHECK(pyrnn_stream_new(model, 0, &other) == PYRNN_INVALID_ARGUMENT && other == NULL);
  CHECK(pyrnn_stream_new(model, (size_t)-1, &other) == PYRNN_INVALID_ARGUMENT && other == NULL);
  CHECK(strstr(pyrnn_last_error(), "batch should be from 1 to") != NULL);

  CHECK(pyrnn_stream_run(stream, NULL, 0, NULL) == PYRNN_OK);
  CHECK(pyrnn_model_run(model, NULL, 0, 1, NULL) == PYRNN_OK && pyrnn_model_run(model, NULL, 1, 0, NULL) == PYRNN_OK);
  CHECK(pyrnn_stream_reset(stream, NULL) == PYRNN_OK);
  CHECK(pyrnn_model_input_size(NULL) == 0 && pyrnn_model_output_size(NULL) == 0);
  CHECK(pyrnn_model_state_size(NULL) == 0 && pyrnn_stream_batch(NULL) == 0);
  pyrnn_model_free(NULL);
  pyrnn_stream_free(NULL);
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  free(x);
  free(y);
  return 0;
}
