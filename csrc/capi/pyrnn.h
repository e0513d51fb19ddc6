/* pyrnn: recurrent networks step by step, from C99. SPDX-License-Identifier: MIT
 *
 *   pyrnn_model *model;
 *   pyrnn_stream *stream;
 *   if (pyrnn_model_load("vad.safetensors", &model) || pyrnn_stream_new(model, 1, &stream))
 *     fprintf(stderr, "%s\n", pyrnn_last_error());
 *   while (next(x))                        one step: x of input_size floats to y of output_size
 *     pyrnn_stream_step(stream, x, y);
 *   pyrnn_stream_free(stream);
 *   pyrnn_model_free(model);
 *
 * Models are files that pyrnn.nn.Sequential.save wrote in Python, of float32: RNN, LSTM, GRU with all options; Linear;
 * Embedding, whose indices come as floats; ChannelsLast(Conv1d) of stride 1; ReLU, Tanh, Sigmoid, Activation but for
 * softplus and gelu; Softmax over the last axis; LastStep and Dropout, which do nothing here: each step's output is what
 * the model gives for a sequence that ends there; and Sequential within Sequential. The outputs have the bits of Python's.
 *
 * A stream goes forward in time. Models that look ahead, by a bidirectional layer or by a Conv1d with padding after the
 * end, run on whole sequences with pyrnn_model_run.
 *
 * Threads: a model is immutable, and any number of threads may use it at once; a stream belongs to one thread at a
 * time. Calls work in the thread that makes them.
 *
 * After a stream is made, step, run, reset, state_get and state_set allocate no memory, take no lock, make no system
 * call, throw nothing and print nothing. A call that fails changes nothing.
 *
 * Letters: T steps, B sequences that run side by side, I input size, O output size, S state size; arrays lie row by
 * row. Sizes count floats.
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
typedef struct pyrnn_stream pyrnn_stream; /* the state of B running sequences, and all memory a step needs */

typedef enum pyrnn_status {
  PYRNN_OK = 0,
  PYRNN_INVALID_ARGUMENT = -1, /* null, or out of range; also PYRNN_ISA or PYRNN_THREADS in the environment */
  PYRNN_INVALID_FILE = -2,     /* damaged, hostile, or would take more memory than its limit */
  PYRNN_UNSUPPORTED = -3,      /* sound, but with a layer or an option that this library does not have */
  PYRNN_UNREADABLE = -4,       /* no such file, or the system would not read it */
  PYRNN_OUT_OF_MEMORY = -5,
  PYRNN_INTERNAL = -6 /* a defect of this library */
} pyrnn_status;

/* The sentence of the last call that failed in this thread, "" if none did; never NULL. Valid until the next fails. One
 * line of printable ASCII; what a file or a path brings along is escaped and cut. */
PYRNN_API const char* pyrnn_last_error(void);

/* "PYRNN_OK" and so on; "unknown status" for another number. */
PYRNN_API const char* pyrnn_status_name(pyrnn_status status);

/* PYRNN_VERSION of the library that runs; compare it with the header's. */
PYRNN_API unsigned pyrnn_version(void);

/* The instruction set in use: "scalar", "avx2", "avx512", "avx512vnni", "neon". The fastest of this CPU, or what
 * PYRNN_ISA in the environment says; NULL if that names none of them. All give the same bits. */
PYRNN_API const char* pyrnn_isa(void);

/* Reads a model; to be freed by pyrnn_model_free. Bytes may lie at any address and are needed no more afterwards.
 * Files may come from strangers: what a model may take, together with a stream of one sequence, is 64 times the length
 * of its file and 16 MiB more; that is checked before memory is taken. On failure *model is NULL. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_load(const char* path, pyrnn_model** model);
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_from_memory(const void* bytes, size_t size, pyrnn_model** model);

/* The same with a limit of your own, in bytes: more for a file that you trust, such as one with convolutions over a very
 * long past, or less. It counts the file itself, its header, its arrays, the packed weights and one stream. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_load_within(const char* path, size_t limit, pyrnn_model** model);
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_from_memory_within(const void* bytes, size_t size, size_t limit,
                                                                    pyrnn_model** model);

/* NULL is fine. Streams of the model keep what they need: the order of freeing does not matter. */
PYRNN_API void pyrnn_model_free(pyrnn_model* model);

/* I, O and S; 0 for NULL. A model that begins with an Embedding has I = 1. */
PYRNN_API size_t pyrnn_model_input_size(const pyrnn_model* model);
PYRNN_API size_t pyrnn_model_output_size(const pyrnn_model* model);
PYRNN_API size_t pyrnn_model_state_size(const pyrnn_model* model);

/* Whole sequences from a state of zeros, x [T,B,I] to y [T,B,O], also of models that look ahead; T or B of 0 is fine.
 * Takes memory and gives it back. x and y must not overlap. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_model_run(const pyrnn_model* model, const float* x, size_t steps,
                                                     size_t batch, float* y);

/* A stream of `batch` sequences, 1 to 2^24, with a state of zeros; to be freed by pyrnn_stream_free. On failure
 * *stream is NULL. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_stream_new(const pyrnn_model* model, size_t batch, pyrnn_stream** stream);

/* The same in memory of your own, at any address, of pyrnn_stream_bytes bytes at least: nothing is allocated. It must
 * stay until pyrnn_stream_free, which leaves it to you. pyrnn_stream_bytes adds up sizes and does not take the memory; it
 * is 0 where a stream would be refused. */
PYRNN_API size_t pyrnn_stream_bytes(const pyrnn_model* model, size_t batch);
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_stream_init(const pyrnn_model* model, size_t batch, void* memory,
                                                       size_t bytes, pyrnn_stream** stream);

/* A second stream that goes on from the same state, independently. */
PYRNN_API PYRNN_CHECKED pyrnn_status pyrnn_stream_clone(const pyrnn_stream* stream, pyrnn_stream** clone);

/* NULL is fine. */
PYRNN_API void pyrnn_stream_free(pyrnn_stream* stream);

/* B; 0 for NULL. */
PYRNN_API size_t pyrnn_stream_batch(const pyrnn_stream* stream);

/* One step: x [B,I] to y [B,O]. x and y must not overlap. */
PYRNN_API pyrnn_status pyrnn_stream_step(pyrnn_stream* stream, const float* x, float* y);

/* `steps` steps, 0 is fine: x [T,B,I] to y [T,B,O]. The same bits as so many single steps; the same rules. */
PYRNN_API pyrnn_status pyrnn_stream_run(pyrnn_stream* stream, const float* x, size_t steps, float* y);

/* Sets the state to zero: of all sequences (rows NULL), or of those whose byte in rows [B] is not 0. */
PYRNN_API pyrnn_status pyrnn_stream_reset(pyrnn_stream* stream, const unsigned char* rows);

/* The state [B,S]: a row is all that one sequence remembers, and may be put in a row of any stream of the model. Of
 * each layer in turn it holds h of a recurrent layer's layers and, for the LSTM, c of its layers; of a Conv1d the last
 * inputs. */
PYRNN_API pyrnn_status pyrnn_stream_state_get(const pyrnn_stream* stream, float* state);
PYRNN_API pyrnn_status pyrnn_stream_state_set(pyrnn_stream* stream, const float* state);

#ifdef __cplusplus
}
#endif

#endif /* PYRNN_H */
