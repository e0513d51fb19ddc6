/* noalloc STEPS MODEL: once a stream exists, STEPS steps and the other calls on it allocate nothing, free nothing
 * and take no lock: this program defines malloc, its relatives and the lock functions, and counts their calls. They
 * make no system call either, not even to wake a thread: seccomp's strict mode would kill the process. */
#define _GNU_SOURCE
#include "check.h"

#include <dlfcn.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* memory);

static volatile long calls = 0, locks = 0;

void* malloc(size_t size) { return ++calls, __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return ++calls, __libc_calloc(count, size); }
void* realloc(void* memory, size_t size) { return ++calls, __libc_realloc(memory, size); }
void* memalign(size_t alignment, size_t size) { return ++calls, __libc_memalign(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return ++calls, __libc_memalign(alignment, size); }
int posix_memalign(void** memory, size_t alignment, size_t size) {
  ++calls;
  *memory = __libc_memalign(alignment, size);
  return *memory == NULL;
}
void free(void* memory) { ++calls, __libc_free(memory); }

#define LOCK(name, type)                                 \
  int name(type* lock) {                                 \
    static int (*real)(type*) = NULL;                    \
    ++locks;                                             \
    if (!real) *(void**)&real = dlsym(RTLD_NEXT, #name); \
    return real(lock);                                   \
  }
LOCK(pthread_mutex_lock, pthread_mutex_t)
LOCK(pthread_mutex_trylock, pthread_mutex_t)
LOCK(pthread_mutex_unlock, pthread_mutex_t)
LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
LOCK(pthread_spin_lock, pthread_spinlock_t)
LOCK(pthread_cond_signal, pthread_cond_t)
LOCK(pthread_cond_broadcast, pthread_cond_t)
LOCK(sem_wait, sem_t)
LOCK(sem_post, sem_t)

enum { B = 2, T = 24 };

int main(int count, char** arguments) {
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream* stream = started(model, B);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model),
               S = pyrnn_model_state_size(model);
  const unsigned char rows[B] = {1, 0};
  float *x = numbers(T * B * I, 3), *y = numbers(T * B * O, 4), *state = numbers(B * S, 6);
  long before, failed = 0;
  const int rounds = atoi(arguments[1]) / (1 + T);
  int i;
  CHECK(calls > 0); /* the library does call the functions of this program */
  CHECK(dlsym(RTLD_DEFAULT, "pthread_mutex_lock") != dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
  before = calls + locks;
  for (i = 0; i < rounds; ++i) {
    failed += pyrnn_stream_step(stream, x, y) != PYRNN_OK;
    failed += pyrnn_stream_run(stream, x, T, y) != PYRNN_OK;
    failed += pyrnn_stream_state_get(stream, state) != PYRNN_OK;
    failed += pyrnn_stream_reset(stream, rows) != PYRNN_OK;
    failed += pyrnn_stream_state_set(stream, state) != PYRNN_OK;
  }
  syscall(SYS_exit, failed || calls + locks != before); /* exit_group is not allowed */
  return 1;
}
