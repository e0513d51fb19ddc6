/* The versions of header and library agree, each status and the instruction set has a name, and the sentence about a
   missing file contains the file's name. */
#include "check.h"

int main(void) {
  const char* names[] = {"PYRNN_OK",         "PYRNN_INVALID_ARGUMENT", "PYRNN_INVALID_FILE", "PYRNN_UNSUPPORTED",
                         "PYRNN_UNREADABLE", "PYRNN_OUT_OF_MEMORY",    "PYRNN_INTERNAL"};
  pyrnn_model* model = NULL;
  int i;
  CHECK(pyrnn_version() == PYRNN_VERSION);
  CHECK(strcmp(pyrnn_last_error(), "") == 0);
  for (i = 0; i < 7; ++i) CHECK(strcmp(pyrnn_status_name((pyrnn_status)-i), names[i]) == 0);
  CHECK(strcmp(pyrnn_status_name((pyrnn_status)7), "unknown status") == 0);
  CHECK(strcmp(pyrnn_status_name((pyrnn_status)-7), "unknown status") == 0);
  CHECK(pyrnn_isa() != NULL && strlen(pyrnn_isa()) > 0);
  CHECK(pyrnn_model_load("no such file", &model) == PYRNN_UNREADABLE && model == NULL);
  CHECK(strstr(pyrnn_last_error(), "no such file cannot be read: ") == pyrnn_last_error());
  CHECK(pyrnn_model_load(".", &model) == PYRNN_UNREADABLE);
  CHECK(strstr(pyrnn_last_error(), "it is a folder") != NULL);
  printf("%d.%d.%d\n", PYRNN_VERSION_MAJOR, PYRNN_VERSION_MINOR, PYRNN_VERSION_PATCH);
  return 0;
}
