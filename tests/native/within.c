/* within MODEL [LIMIT [BATCH]]: loads a model, makes a stream of one sequence and runs a few steps, or only makes a
 * stream of BATCH sequences. Prints the status, the kB by which the process grew at its peak, and the sentence of a
 * refusal. */
#include "check.h"

static long most_resident(void) { /* kB */
  char line[256];
  long found = 0;
  FILE* file = fopen("/proc/self/status", "r");
  CHECK(file != NULL);
  while (fgets(line, sizeof line, file)) sscanf(line, "VmHWM: %ld", &found);
  fclose(file);
  return found;
}

static void run(const pyrnn_model* model) {
  enum { T = 3 };
  float *x = calloc(T, sizeof(float) * pyrnn_model_input_size(model)),
        *y = numbers(T * pyrnn_model_output_size(model), 1);
  pyrnn_stream* stream = NULL;
  CHECK(x != NULL);
  if (pyrnn_stream_new(model, 1, &stream) == PYRNN_OK) CHECK(pyrnn_stream_run(stream, x, T, y) == PYRNN_OK);
  else CHECK(pyrnn_model_run(model, x, T, 1, y) == PYRNN_OK);
  pyrnn_stream_free(stream);
  free(x);
  free(y);
}

int main(int count, char** arguments) {
  pyrnn_model* model = NULL;
  pyrnn_stream* stream = NULL;
  const long before = most_resident();
  pyrnn_status status = count > 2 ? pyrnn_model_load_within(arguments[1], strtoull(arguments[2], NULL, 10), &model)
                                  : pyrnn_model_load(arguments[1], &model);
  if (status == PYRNN_OK && count > 3) status = pyrnn_stream_new(model, strtoull(arguments[3], NULL, 10), &stream);
  else if (status == PYRNN_OK) run(model);
  printf("%s %ld %s\n", pyrnn_status_name(status), most_resident() - before, status ? pyrnn_last_error() : "");
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  return 0;
}
