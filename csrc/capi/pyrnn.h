/* pyrnn: recurrent networks step by step, from C99. SPDX-License-Identifier: MIT
 *
 *   pyrnn_model *model;
 *   pyrnn_stream *stream;
 *   if (pyrnn_model_load("vad.safetensors", &model) || pyrnn_stream_new(model, 1, &stream))
 *     fprintf(stderr, "%s\n", pyrnn_last_error());
 *   while (next(x))                        one step reads input_size floats x and writes output_size floats y
 *     pyrnn_stream_step(stream, x, y);
 *   pyrnn_stream_free(stream);
 *   pyrnn_model_free(model);
 *
 * A model is a file that `save` of an nn.Sequential or of one layer wrote in Python, with float32 parameters. Its
 * layers may be: RNN, LSTM, GRU with all options; Linear; Embedding, whose indices are passed as floats;
 * ChannelsLast(Conv1d) of stride 1; ReLU, Tanh, Sigmoid, Activation except softplus and gelu; Softmax over the last
 * axis; LastStep, Dropout and SpatialDropout1D, which do nothing here; and Sequential within Sequential. With a
 * LastStep, each step's output is what the model gives for a sequence that ends at that step. The outputs have the same
 * bits as in Python.
 *
 * A stream computes step after step, forward in time. A model that looks ahead, because of a bidirectional layer or a
 * Conv1d with padding after the end, has no stream; pyrnn_model_run runs it on whole sequences.
 *
 * Threads: a model is immutable, and any number of threads may use it at once; a stream belongs to one thread at a
 * time. A call computes in the thread that calls it.
 *
 * Once a stream exists, step, run, reset, state_get and state_set allocate no memory, take no lock, make no system
 * call, throw nothing and print nothing. A call that fails changes nothing.
 *
 * Letters in shapes: T steps, B sequences computed at the same time, I input size, O output size, S state size. Arrays
 * are contiguous, the last index fastest. Sizes count floats.
 */
#ifndef PYRNN_H
#define PYRNN_H

#include <stddef.h>

#define PYRNN_VERSION_MAJOR 0
#define PYRNN_VERSION_MINOR 1
#define PYRNN_VERSION_PATCH 0
#define PYRNN_VERSION (PYRNN_VERSION_MAJOR * 10000 + PYRNN_VERSION_MINOR * 100 + PYRNN_VERSION_PATCH)

#if defined(__GNUC__)
#define PYRNN_API __attribute__((visibility("default")))
#define PYRNN_CHECKED __attribute__((warn_unused_result))
#else
#define PYRNN_API
#define PYRNN_CHECKED
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pyrnn_model pyrnn_model;   /* weights, immutable */
typedef struct pyrnn_stream pyrnn_stream; /* the state of B running sequences, and all memory that a step needs */

typedef enum pyrnn_status {
  PYRNN_OK = 0,
  PYRNN_INVALID_ARGUMENT = -1, /* an argument is NULL or out of range; or PYRNN_ISA or PYRNN_THREADS is wrong */
  PYRNN_INVALID_FILE = -2,     /* the file is damaged or hostile, or needs more memory than its limit */
  PYRNN_UNSUPPORTED = -3,      /* the file is valid, but has a layer or an option that this library lacks */
  PYRNN_UNREADABLE = -4,       /* there is no such file, or the system cannot read it */
  PYRNN_OUT_OF_MEMORY = -5,
  PYRNN_INTERNAL = -6 /* a defect of this library */
} pyrnn_status;

/* Returns the sentence of this thread's last call that failed, "" if none did; never NULL. It is valid until the
 * next call fails: one line of printable ASCII, in which text from a file or a path is escaped and cut. */
PYRNN_API const char* pyrnn_last_error(void);

/* Returns "PYRNN_OK" and so on; "unknown status" for another number. */
PYRNN_API const char* pyrnn_status_name(pyrnn_status status);

/* Returns the PYRNN_VERSION of the loaded library, to compare with the header's. */
PYRNN_API unsigned pyrnn_version(void);

/* Returns the instruction set in use: "scalar", "avx2", "avx512", "avx512vnni" or "neon". It is the fastest of this
 * CPU, or the one that PYRNN_ISA in the environment names; NULL if that is none of them. All give the same bits. */
PYRNN_API const char* pyrnn_isa(void);

/* Reads a model, which pyrnn_model_free frees. The bytes may be at any address and may be freed after the call.
 * Files may be untrusted: a model together with a stream of one sequence may take 64 times the length of the file
 * plus 16 MiB; the library checks this before it allocates. On failure *model is NULL. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_load(const char* path, pyrnn_model** model);
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_from_memory(const void* bytes, size_t size, pyrnn_model** model);

/* The same with your own limit in bytes: a larger one for a file that you trust, such as one whose convolutions look
 * back very far, or a smaller one. It limits the sum of the file itself, its header, its arrays, the packed weights
 * and one stream. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_load_within(const char* path, size_t limit, pyrnn_model** model);
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_from_memory_within(const void* bytes, size_t size, size_t limit,
                                                                    pyrnn_model** model);

/* Frees a model, or does nothing for NULL. Streams of the model keep what they need: models and streams may be freed
   in any order. */
PYRNN_API void pyrnn_model_free(pyrnn_model* model);

/* Returns I, O and S; 0 for NULL. A model that begins with an Embedding has I = 1. */
PYRNN_API size_t pyrnn_model_input_size(const pyrnn_model* model);
PYRNN_API size_t pyrnn_model_output_size(const pyrnn_model* model);
PYRNN_API size_t pyrnn_model_state_size(const pyrnn_model* model);

/* Runs whole sequences from a state of zeros, x [T,B,I] to y [T,B,O], also through models that look ahead. T and B
 * may be 0. It allocates memory and frees it. x and y must not overlap. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_run(const pyrnn_model* model, const float* x, size_t steps,
                                                     size_t batch, float* y);

/* Makes a stream of `batch` sequences, 1 to 2^24, with a state of zeros; pyrnn_stream_free frees it. On failure
 * *stream is NULL. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_stream_new(const pyrnn_model* model, size_t batch, pyrnn_stream** stream);

/* The same in memory of your own, at any address and of at least pyrnn_stream_bytes bytes, without any allocation.
 * The memory must stay until pyrnn_stream_free, which does not free it. pyrnn_stream_bytes computes the size without
 * allocating the stream; it returns 0 if there can be no such stream. */
PYRNN_API size_t pyrnn_stream_bytes(const pyrnn_model* model, size_t batch);
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_stream_init(const pyrnn_model* model, size_t batch, void* memory,
                                                       size_t bytes, pyrnn_stream** stream);

/* Makes a second stream that continues from the same state, independently of the first. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_stream_clone(const pyrnn_stream* stream, pyrnn_stream** clone);

/* Frees a stream, or does nothing for NULL. */
PYRNN_API void pyrnn_stream_free(pyrnn_stream* stream);

/* Returns B; 0 for NULL. */
PYRNN_API size_t pyrnn_stream_batch(const pyrnn_stream* stream);

/* Computes one step: x [B,I] to y [B,O]. x and y must not overlap. */
PYRNN_API pyrnn_status pyrnn_stream_step(pyrnn_stream* stream, const float* x, float* y);

/* Computes `steps` steps, which may be 0: x [T,B,I] to y [T,B,O], with the same bits as that many single steps. x
   and y must not overlap. */
PYRNN_API pyrnn_status pyrnn_stream_run(pyrnn_stream* stream, const float* x, size_t steps, float* y);

/* Sets the state to zero: of all sequences (rows NULL), or of those whose byte in rows [B] is not 0. */
PYRNN_API pyrnn_status pyrnn_stream_reset(pyrnn_stream* stream, const unsigned char* rows);

/* Read and write the state [B,S]. A row is all that one sequence remembers, and may be written to a row of any
 * stream of the same model. It holds the layers of the model in order: for a recurrent layer h of its layers and,
 * for the LSTM, c of its layers; for a Conv1d the last inputs. */
PYRNN_API pyrnn_status pyrnn_stream_state_get(const pyrnn_stream* stream, float* state);
PYRNN_API pyrnn_status pyrnn_stream_state_set(pyrnn_stream* stream, const float* state);

#ifdef __cplusplus
}
#endif

#endif /* PYRNN_H */
