/* refusal MODEL: prints the status and the sentence with which the library refuses a model. */
#include "check.h"

int main(int count, char** arguments) {
  pyrnn_model* model = NULL;
  const pyrnn_status status = pyrnn_model_load(arguments[count - 1], &model);
  CHECK(status != PYRNN_OK && model == NULL);
  printf("%s: %s\n", pyrnn_status_name(status), pyrnn_last_error());
  return 0;
}
