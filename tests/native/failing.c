/* failing MODEL: whichever request for memory fails, the n-th of one kind or it and all later ones, a call returns
 * PYRNN_OUT_OF_MEMORY, sets *out to NULL and keeps no memory, and the next call gives the right bits. Linked with
 * tests/native/fail.cpp. */
#include "check.h"

void fail_at(long n, unsigned kinds);
int fail_happened(void);
long fail_live(void);

enum { B = 2, T = 60 };

static const char* path;
static char* contents;
static long size;
static pyrnn_model* model;
static pyrnn_stream* stream;
static float *x, *y, *expected, *state;
static size_t floats; /* number of outputs */

static int left_null; /* 0 if the last call failed but did not set *out to NULL */

static pyrnn_status stop(pyrnn_status status, const void* made) {
  left_null = status == PYRNN_OK || made == NULL;
  return status;
}

static pyrnn_status model_made(pyrnn_status status, pyrnn_model* made) {
  stop(status, made);
  pyrnn_model_free(made);
  return status;
}

static pyrnn_status stream_made(pyrnn_status status, pyrnn_stream* made) {
  if (status == PYRNN_OK) status = pyrnn_stream_run(made, x, T, y);
  stop(status, made);
  pyrnn_stream_free(made);
  return status;
}

static pyrnn_status load(void) {
  pyrnn_model* made = (pyrnn_model*)&left_null;
  const pyrnn_status status = pyrnn_model_load(path, &made);
  return model_made(status, made);
}

static pyrnn_status from_memory(void) {
  pyrnn_model* made = (pyrnn_model*)&left_null;
  const pyrnn_status status = pyrnn_model_from_memory(contents, (size_t)size, &made);
  return model_made(status, made);
}

static pyrnn_status new_stream(void) {
  pyrnn_stream* made = (pyrnn_stream*)&left_null;
  const pyrnn_status status = pyrnn_stream_new(model, B, &made);
  return stream_made(status, made);
}

static pyrnn_status clone(void) {
  pyrnn_stream* made = (pyrnn_stream*)&left_null;
  const pyrnn_status status = pyrnn_stream_clone(stream, &made);
  return stream_made(status, made);
}

static pyrnn_status whole(void) { return stop(pyrnn_model_run(model, x, T, B, y), NULL); }

/* Making a stream in the caller's memory, and the calls of a stream: these need no memory. pyrnn_stream_bytes may
   fail, and then returns 0. */
static pyrnn_status bytes(void) { return stop(pyrnn_stream_bytes(model, B) ? PYRNN_OK : PYRNN_OUT_OF_MEMORY, NULL); }

static pyrnn_status in_place(void) {
  static char memory[1 << 20];
  pyrnn_stream* made = (pyrnn_stream*)&left_null;
  const pyrnn_status status = pyrnn_stream_init(model, B, memory, sizeof memory, &made);
  return stream_made(status, made);
}

static pyrnn_status calls(void) {
  pyrnn_status status = pyrnn_stream_reset(stream, NULL);
  if (status == PYRNN_OK) status = pyrnn_stream_run(stream, x, T - 1, y);
  if (status == PYRNN_OK)
    status = pyrnn_stream_step(stream, x + (T - 1) * B * pyrnn_model_input_size(model), y + (T - 1) * (floats / T));
  if (status == PYRNN_OK) status = pyrnn_stream_state_get(stream, state);
  if (status == PYRNN_OK) status = pyrnn_stream_state_set(stream, state);
  if (status == PYRNN_OK) status = pyrnn_stream_reset(stream, NULL);
  return stop(status, NULL);
}

/* Makes every request of these kinds fail in turn. Returns how many requests there are. */
static long tried(pyrnn_status (*call)(void), int outputs, unsigned kinds) {
  long n;
  CHECK(call() == PYRNN_OK); /* the first call allocates memory that stays */
  for (n = 1;; ++n) {
    const long live = fail_live();
    pyrnn_status status;
    int happened;
    memset(y, 0, floats * sizeof(float));
    fail_at(n, kinds);
    status = call();
    happened = fail_happened();
    fail_at(0, 0);
    CHECK(fail_live() == live);
    if (!happened) break;
    CHECK(status == PYRNN_OUT_OF_MEMORY && left_null);
    CHECK(strstr(pyrnn_last_error(), "memory") != NULL);
    CHECK(call() == PYRNN_OK);
    CHECK(!outputs || same(y, expected, floats));
    CHECK(fail_live() == live);
  }
  CHECK(!outputs || same(y, expected, floats));
  return n - 1;
}

static void read_all(void) {
  FILE* file = fopen(path, "rb");
  CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
  size = ftell(file);
  rewind(file);
  contents = malloc((size_t)size);
  CHECK(contents != NULL && fread(contents, 1, (size_t)size, file) == (size_t)size);
  fclose(file);
}

int main(int count, char** arguments) {
  static const unsigned kinds[] = {1, 2, 4, 8, 31}; /* new, malloc, aligned_alloc, mmap; these and threads */
  size_t i;
  unsigned after;
  path = arguments[count - 1];
  read_all();
  model = loaded(path);
  stream = started(model, B);
  floats = T * B * pyrnn_model_output_size(model);
  x = numbers(T * B * pyrnn_model_input_size(model), 3);
  y = numbers(floats, 4);
  expected = numbers(floats, 5);
  state = numbers(B * pyrnn_model_state_size(model), 6);
  CHECK(pyrnn_model_run(model, x, T, B, expected) == PYRNN_OK);
  for (i = 0; i < sizeof kinds / sizeof *kinds; ++i)
    for (after = 0; after <= 128; after += 128) {
      const unsigned now = kinds[i] | after;
      const long all = tried(load, 0, now) + tried(from_memory, 0, now) + tried(new_stream, 1, now) +
                       tried(clone, 1, now) + tried(whole, 1, now) + tried(bytes, 0, now);
      CHECK(!(kinds[i] & 1) || all > 100);
      CHECK(tried(in_place, 1, now) == 0 && tried(calls, 1, now) == 0);
    }
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  free(contents);
  free(x);
  free(y);
  free(expected);
  free(state);
  return 0;
}
