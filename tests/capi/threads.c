/* Two threads run streams of one model at once. Each gets the outputs that it would get alone, and each has its own
   last error. */
#include "check.h"

#include <pthread.h>

enum { T = 2000 };

typedef struct {
  const pyrnn_model* model;
  float *x, *y;
} work;

static void* run(void* given) {
  work* mine = given;
  pyrnn_stream* stream = started(mine->model, 1);
  size_t t;
  CHECK(strcmp(pyrnn_last_error(), "") == 0);
  for (t = 0; t < T; ++t)
    CHECK(pyrnn_stream_step(stream, mine->x + t * pyrnn_model_input_size(mine->model),
                            mine->y + t * pyrnn_model_output_size(mine->model)) == PYRNN_OK);
  pyrnn_stream_free(stream);
  return NULL;
}

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  const size_t O = pyrnn_model_output_size(model);
  work works[2];
  float* alone = numbers(T * O, 9);
  pthread_t threads[2];
  int i;
  CHECK(pyrnn_stream_step(NULL, NULL, NULL) == PYRNN_INVALID_ARGUMENT); /* an error of this thread alone */
  for (i = 0; i < 2; ++i) {
    works[i].model = model;
    works[i].x = numbers(T * pyrnn_model_input_size(model), (unsigned)i);
    works[i].y = numbers(T * O, 2);
    CHECK(pthread_create(&threads[i], NULL, run, &works[i]) == 0);
  }
  for (i = 0; i < 2; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  for (i = 0; i < 2; ++i) {
    pyrnn_stream* stream = started(model, 1);
    CHECK(pyrnn_stream_run(stream, works[i].x, T, alone) == PYRNN_OK);
    CHECK(same(works[i].y, alone, T * O));
    pyrnn_stream_free(stream);
    free(works[i].x);
    free(works[i].y);
  }
  pyrnn_model_free(model);
  free(alone);
  return 0;
}
