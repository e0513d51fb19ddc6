// The functions of capi/pyrnn.h. A function that may throw runs in `guard`; the others check their arguments and
// forward.
#include "capi/pyrnn.h"

#include "capi/file.h"
#include "capi/guard.h"
#include "isa/select.h"
#include "model/chain.h"
#include "threads/parallel.h"
#include "model/reader.h"
#include "checks/require.h"

#include <climits>
#include <cstdio>

struct pyrnn_model {
  std::shared_ptr<const pyrnn::Model> shared;
};

struct pyrnn_stream {
  // The first constructor uses memory that the caller provides and that also holds this struct; the second uses the
  // heap.
  pyrnn_stream(std::shared_ptr<const pyrnn::Model> model, int batch, void* rest, std::size_t size)
      : given(std::in_place, rest, size, std::pmr::null_memory_resource()),
        chain(std::move(model), batch, pyrnn::block_of(pyrnn::rows_at_once, batch), *given) {}
  pyrnn_stream(std::shared_ptr<const pyrnn::Model> model, int batch)
      : chain(std::move(model), batch, pyrnn::block_of(pyrnn::rows_at_once, batch), pyrnn::kept_memory()) {}

  std::optional<std::pmr::monotonic_buffer_resource> given;
  pyrnn::Chain chain;
};

namespace pyrnn {
namespace {

constexpr std::size_t most_rows = std::size_t{1} << 24;  // rows times steps of a block must fit an int
constexpr std::size_t alignment = 64;                    // of a stream in the caller's memory

std::size_t rounded_up(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

pyrnn_status null(const char* sentence) noexcept { return refuse(PYRNN_INVALID_ARGUMENT, sentence); }

// Calls f; the sentence of an exception then begins with the file's name.
template <class F> auto naming(std::string_view name, F f) {
  try {
    return f();
  } catch (const InvalidFile& error) {
    fail<InvalidFile>(shown(name), " cannot be loaded: ", error.what());
  } catch (const Unsupported& error) {
    fail<Unsupported>(shown(name), " cannot be loaded: ", error.what());
  }
}

pyrnn_model* model_of(std::span<const unsigned char> bytes, Budget& budget) {
  set_num_threads(1);  // a call stays in its thread: waking others would take locks
  auto model = std::make_unique<pyrnn_model>();
  model->shared = std::make_shared<const Model>(read_model(bytes, isa().f32, budget));
  return model.release();
}

pyrnn_status load(const char* path, std::optional<std::size_t> limit, pyrnn_model** model) noexcept {
  if (!model) return null("pyrnn_model_load: model should be the address of a pointer, got NULL");
  *model = nullptr;
  if (!path) return null("pyrnn_model_load: path should be a string, got NULL");
  return guard([&] {
    *model = naming(path, [&] {
      Contents file(path, limit);
      return model_of(file.bytes(), file.budget());
    });
  });
}

pyrnn_status load(const void* bytes, std::size_t size, std::optional<std::size_t> limit,
                  pyrnn_model** model) noexcept {
  if (!model) return null("pyrnn_model_from_memory: model should be the address of a pointer, got NULL");
  *model = nullptr;
  if (!bytes) return null("pyrnn_model_from_memory: bytes should be the contents of a file, got NULL");
  return guard([&] {
    Budget budget = budget_of(size, limit);
    *model = naming("the model", [&] { return model_of({static_cast<const unsigned char*>(bytes), size}, budget); });
  });
}

int checked_batch(const char* function, const pyrnn_model* model, std::size_t batch) {
  require(model, function, ": model should be a model, got NULL");
  require(batch >= 1 && batch <= most_rows, function, ": batch should be from 1 to ", most_rows, ", got ", batch);
  if (const char* what = model->shared->what_looks_ahead())
    fail<Unsupported>(function, ": the model has ", what,
                      ", and a stream cannot know the steps to come; "
                      "pyrnn_model_run takes whole sequences");
  return static_cast<int>(batch);
}

int block_for(int batch) { return block_of(rows_at_once, batch); }

// Returns the bytes of a stream, or of a run with `block` steps at a time, without allocating them.
std::size_t bytes_of(const std::shared_ptr<const Model>& model, int batch, int block) {
  MeasuredMemory memory;
  Chain(model, batch, block, memory, false);
  if (memory.bytes() > PTRDIFF_MAX) throw std::bad_alloc();
  return memory.bytes();
}

// If a call ran out of memory, replaces its sentence by one that says how much memory the call takes, if that can be
// computed.
pyrnn_status with_bytes(pyrnn_status status, const char* function, const pyrnn_model& model, int batch,
                        int block) noexcept {
  if (status != PYRNN_OUT_OF_MEMORY) return status;
  std::size_t bytes = 0;
  guard([&] { bytes = bytes_of(model.shared, batch, block); });
  char sentence[160];
  if (bytes)
    std::snprintf(sentence, sizeof(sentence), "%s: there is not enough memory: a batch of %d takes %zu bytes",
                  function, batch, bytes);
  else std::snprintf(sentence, sizeof(sentence), "%s: there is not enough memory for a batch of %d", function, batch);
  return refuse(PYRNN_OUT_OF_MEMORY, sentence);
}

// Returns PYRNN_OK if all x are indices of the Embedding that the model begins with, or if it begins with another
// layer.
pyrnn_status check_indices(const char* function, const Model& model, const float* x, std::size_t count) noexcept {
  const float* const wrong = model.no_index(x, count);
  if (!wrong) return PYRNN_OK;
  char sentence[160];
  std::snprintf(sentence, sizeof(sentence),
                "%s: x[%td] should be an index of the Embedding, a whole number from 0 to %d", function, wrong - x,
                model.layers.front().as<Embedding>()->rows - 1);
  return refuse(PYRNN_INVALID_ARGUMENT, sentence);
}

pyrnn_status too_many_steps(const char* function) noexcept {
  char sentence[160];
  std::snprintf(sentence, sizeof(sentence), "%s: steps times batch should be at most %td", function, PTRDIFF_MAX);
  return refuse(PYRNN_INVALID_ARGUMENT, sentence);
}

pyrnn_status run(const char* function, Chain& chain, const float* x, std::size_t steps, float* y) noexcept {
  std::size_t rows = 0;
  if (__builtin_mul_overflow(steps, static_cast<std::size_t>(chain.batch()), &rows) || rows > PTRDIFF_MAX)
    return too_many_steps(function);
  if (const pyrnn_status status = check_indices(function, *chain.model(), x, rows)) return status;
  chain.run(x, steps, y);
  return PYRNN_OK;
}

}  // namespace
}  // namespace pyrnn

using namespace pyrnn;

const char* pyrnn_last_error(void) { return last_sentence(); }

const char* pyrnn_status_name(pyrnn_status status) {
  constexpr const char* names[] = {"PYRNN_OK",          "PYRNN_INVALID_ARGUMENT", "PYRNN_INVALID_FILE",
                                   "PYRNN_UNSUPPORTED", "PYRNN_UNREADABLE",       "PYRNN_OUT_OF_MEMORY",
                                   "PYRNN_INTERNAL"};
  const int place = -static_cast<int>(status);
  return place >= 0 && place <= 6 ? names[place] : "unknown status";
}

unsigned pyrnn_version(void) { return PYRNN_VERSION; }

const char* pyrnn_isa(void) {
  const char* name = nullptr;
  guard([&] { name = isa().name; });
  return name;
}

pyrnn_status pyrnn_model_load(const char* path, pyrnn_model** model) { return load(path, {}, model); }
pyrnn_status pyrnn_model_load_within(const char* path, size_t limit, pyrnn_model** model) {
  return load(path, limit, model);
}

pyrnn_status pyrnn_model_from_memory(const void* bytes, size_t size, pyrnn_model** model) {
  return load(bytes, size, {}, model);
}
pyrnn_status pyrnn_model_from_memory_within(const void* bytes, size_t size, size_t limit, pyrnn_model** model) {
  return load(bytes, size, limit, model);
}

void pyrnn_model_free(pyrnn_model* model) { delete model; }

size_t pyrnn_model_input_size(const pyrnn_model* model) { return model ? model->shared->input_size() : 0; }
size_t pyrnn_model_output_size(const pyrnn_model* model) { return model ? model->shared->output_size() : 0; }
size_t pyrnn_model_state_size(const pyrnn_model* model) { return model ? model->shared->state_size() : 0; }

pyrnn_status pyrnn_model_run(const pyrnn_model* model, const float* x, size_t steps, size_t batch, float* y) {
  if (!model || (steps && batch && (!x || !y))) return null("pyrnn_model_run: model, x and y should not be NULL");
  if (!steps || !batch) return PYRNN_OK;
  int rows = 0, block = 0;
  const pyrnn_status sizes = guard([&] {
    require(batch <= most_rows && steps <= INT_MAX / 2 / batch,
            "pyrnn_model_run: steps times batch should be at most ", INT_MAX / 2, ", and batch ", most_rows, ", got ",
            steps, " and ", batch, "; run fewer sequences at a time");
    rows = static_cast<int>(batch);
    block = model->shared->what_looks_ahead() ? static_cast<int>(steps) : block_for(rows);
  });
  if (sizes) return sizes;
  if (const pyrnn_status status = check_indices("pyrnn_model_run", *model->shared, x, steps * batch)) return status;
  const pyrnn_status status = guard([&] { Chain(model->shared, rows, block, kept_memory()).run(x, steps, y); });
  return with_bytes(status, "pyrnn_model_run", *model, rows, block);
}

pyrnn_status pyrnn_stream_new(const pyrnn_model* model, size_t batch, pyrnn_stream** stream) {
  if (!stream) return null("pyrnn_stream_new: stream should be the address of a pointer, got NULL");
  *stream = nullptr;
  int rows = 0;
  if (const auto status = guard([&] { rows = checked_batch("pyrnn_stream_new", model, batch); })) return status;
  const pyrnn_status status = guard([&] { *stream = new pyrnn_stream(model->shared, rows); });
  return with_bytes(status, "pyrnn_stream_new", *model, rows, block_for(rows));
}

size_t pyrnn_stream_bytes(const pyrnn_model* model, size_t batch) {
  size_t bytes = 0;
  guard([&] {
    const int rows = checked_batch("pyrnn_stream_bytes", model, batch);
    bytes = alignment - 1 + rounded_up(sizeof(pyrnn_stream)) + bytes_of(model->shared, rows, block_for(rows));
  });
  return bytes;
}

pyrnn_status pyrnn_stream_init(const pyrnn_model* model, size_t batch, void* memory, size_t bytes,
                               pyrnn_stream** stream) {
  if (!stream) return null("pyrnn_stream_init: stream should be the address of a pointer, got NULL");
  *stream = nullptr;
  if (!memory) return null("pyrnn_stream_init: memory should be the address of a piece of memory, got NULL");
  const size_t given = bytes, first = rounded_up(sizeof(pyrnn_stream));
  const pyrnn_status status = guard([&] {
    const int rows = checked_batch("pyrnn_stream_init", model, batch);
    if (!std::align(alignment, first, memory, bytes)) throw std::bad_alloc();
    *stream = new (memory) pyrnn_stream(model->shared, rows, static_cast<char*>(memory) + first, bytes - first);
  });
  if (status != PYRNN_OUT_OF_MEMORY) return status;
  char sentence[160];
  std::snprintf(sentence, sizeof(sentence),
                "pyrnn_stream_init: the memory should have pyrnn_stream_bytes(model, batch) bytes, %zu, got %zu",
                pyrnn_stream_bytes(model, batch), given);
  return refuse(status, sentence);
}

pyrnn_status pyrnn_stream_clone(const pyrnn_stream* stream, pyrnn_stream** clone) {
  if (!clone) return null("pyrnn_stream_clone: clone should be the address of a pointer, got NULL");
  *clone = nullptr;
  if (!stream) return null("pyrnn_stream_clone: stream should be a stream, got NULL");
  const Chain& chain = stream->chain;
  const pyrnn_status status = guard([&] {
    std::vector<float> state(elements(chain.batch(), chain.model()->state_size()));
    auto made = std::make_unique<pyrnn_stream>(chain.model(), chain.batch());
    chain.get_state(state.data());
    made->chain.set_state(state.data());
    *clone = made.release();
  });
  return with_bytes(status, "pyrnn_stream_clone", {chain.model()}, chain.batch(), block_for(chain.batch()));
}

void pyrnn_stream_free(pyrnn_stream* stream) {
  if (stream && stream->given) stream->~pyrnn_stream();
  else delete stream;
}

size_t pyrnn_stream_batch(const pyrnn_stream* stream) { return stream ? stream->chain.batch() : 0; }

pyrnn_status pyrnn_stream_step(pyrnn_stream* stream, const float* x, float* y) {
  if (!stream || !x || !y) return null("pyrnn_stream_step: stream, x and y should not be NULL");
  return run("pyrnn_stream_step", stream->chain, x, 1, y);
}

pyrnn_status pyrnn_stream_run(pyrnn_stream* stream, const float* x, size_t steps, float* y) {
  if (!stream || (steps && (!x || !y))) return null("pyrnn_stream_run: stream, x and y should not be NULL");
  return run("pyrnn_stream_run", stream->chain, x, steps, y);
}

pyrnn_status pyrnn_stream_reset(pyrnn_stream* stream, const unsigned char* rows) {
  if (!stream) return null("pyrnn_stream_reset: stream should be a stream, got NULL");
  stream->chain.reset(rows);
  return PYRNN_OK;
}

pyrnn_status pyrnn_stream_state_get(const pyrnn_stream* stream, float* state) {
  if (!stream || !state) return null("pyrnn_stream_state_get: stream and state should not be NULL");
  stream->chain.get_state(state);
  return PYRNN_OK;
}

pyrnn_status pyrnn_stream_state_set(pyrnn_stream* stream, const float* state) {
  if (!stream || !state) return null("pyrnn_stream_state_set: stream and state should not be NULL");
  stream->chain.set_state(state);
  return PYRNN_OK;
}
