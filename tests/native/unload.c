/* unload LIBRARY MODEL: a program loads the library, uses a model from several threads, frees it and unloads the
 * library, again and again. Its memory does not grow, and its threads may end after the library was unloaded. */
#define _GNU_SOURCE
#include <pyrnn.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(holds)                                              \
  do {                                                            \
    if (!(holds)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds); \
      exit(1);                                                    \
    }                                                             \
  } while (0)

enum { THREADS = 3, CYCLES = 24, SETTLED = 4 };

static struct {
  pyrnn_status (*load)(const char*, pyrnn_model**);
  void (*free_model)(pyrnn_model*);
  pyrnn_status (*run)(const pyrnn_model*, const float*, size_t, size_t, float*);
  pyrnn_status (*stream)(const pyrnn_model*, size_t, pyrnn_stream**);
  void (*free_stream)(pyrnn_stream*);
  const char* (*last_error)(void);
} use;
static pyrnn_model* model;
static pthread_barrier_t used, gone;

static long resident(void) { /* kB */
  long pages = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fscanf(file, "%*s %ld", &pages) == 1);
  fclose(file);
  return pages * 4;
}

static void* work(void* unused) {
  float x[2 * 3 * 64] = {0}, *y = malloc(sizeof(float) * 2 * 3 * 4096);
  pyrnn_model* none = NULL;
  pyrnn_stream* stream = NULL;
  CHECK(y != NULL && use.load("/no/such/file", &none) == PYRNN_UNREADABLE && use.last_error()[0]);
  CHECK(use.run(model, x, 2, 3, y) == PYRNN_OK);
  CHECK(use.stream(model, 3, &stream) == PYRNN_OK);
  use.free_stream(stream);
  free(y);
  pthread_barrier_wait(&used);
  pthread_barrier_wait(&gone);
  return unused;
}

static void* of(void* library, const char* name) {
  void* found = dlsym(library, name);
  CHECK(found != NULL);
  return found;
}

int main(int count, char** arguments) {
  long settled = 0;
  int cycle, i;
  CHECK(count == 3);
  for (cycle = 0; cycle < CYCLES; ++cycle) {
    pthread_t thread[THREADS];
    void* library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    *(void**)&use.load = of(library, "pyrnn_model_load");
    *(void**)&use.free_model = of(library, "pyrnn_model_free");
    *(void**)&use.run = of(library, "pyrnn_model_run");
    *(void**)&use.stream = of(library, "pyrnn_stream_new");
    *(void**)&use.free_stream = of(library, "pyrnn_stream_free");
    *(void**)&use.last_error = of(library, "pyrnn_last_error");
    CHECK(use.load(arguments[2], &model) == PYRNN_OK);
    CHECK(!pthread_barrier_init(&used, NULL, THREADS + 1) && !pthread_barrier_init(&gone, NULL, THREADS + 1));
    for (i = 0; i < THREADS; ++i) CHECK(!pthread_create(&thread[i], NULL, work, NULL));
    pthread_barrier_wait(&used);
    use.free_model(model);
    CHECK(dlclose(library) == 0);
    CHECK(dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD) == NULL);
    pthread_barrier_wait(&gone);
    for (i = 0; i < THREADS; ++i) CHECK(!pthread_join(thread[i], NULL));
    pthread_barrier_destroy(&used);
    pthread_barrier_destroy(&gone);
    if (cycle == SETTLED) settled = resident();
  }
  printf("%ld\n", resident() - settled);
  return 0;
}
