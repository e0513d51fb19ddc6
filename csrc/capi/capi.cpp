// pyrnn.h on the runtime: every call that may throw goes through guard, the others check and forward.
#include "capi/pyrnn.h"

#include "isa/select.h"
#include "runtime/chain.h"
#include "runtime/parallel.h"
#include "runtime/reader.h"
#include "runtime/require.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <filesystem>

struct pyrnn_model {
  std::shared_ptr<const pyrnn::Model> shared;
};

struct pyrnn_stream {
  // Out of a piece of memory that the caller gave, which holds this struct too; or off the heap.
  pyrnn_stream(std::shared_ptr<const pyrnn::Model> model, int batch, void* rest, std::size_t size)
      : given(std::in_place, rest, size, std::pmr::null_memory_resource()),
        chain(std::move(model), batch, pyrnn::block_of(pyrnn::rows_at_once, batch), *given) {}
  pyrnn_stream(std::shared_ptr<const pyrnn::Model> model, int batch, pyrnn::Memory& memory = pyrnn::kept_memory())
      : chain(std::move(model), batch, pyrnn::block_of(pyrnn::rows_at_once, batch), memory) {}

  std::optional<std::pmr::monotonic_buffer_resource> given;
  pyrnn::Chain chain;
};

namespace pyrnn {
namespace {

constexpr std::size_t most_rows = std::size_t{1} << 24;  // rows times steps of a block are ints
constexpr std::size_t alignment = 64;                    // of a stream in memory that was given

std::size_t rounded_up(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

// Counts what is taken, as monotonic_buffer_resource lays it out one after the other.
class Counted : public Memory {
 public:
  std::size_t bytes = 0;

 private:
  void* do_allocate(std::size_t size, std::size_t align) override {
    bytes = (bytes + align - 1) / align * align + size;
    return kept_memory().allocate(size, align);
  }
  void do_deallocate(void* memory, std::size_t size, std::size_t align) override {
    kept_memory().deallocate(memory, size, align);
  }
  bool do_is_equal(const Memory& other) const noexcept override { return this == &other; }
};

thread_local char last_error[512] = "";

pyrnn_status refuse(pyrnn_status status, const char* sentence) noexcept {
  std::snprintf(last_error, sizeof(last_error), "%s", sentence);
  return status;
}

struct Unreadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class F> pyrnn_status guard(F f) noexcept {
  try {
    f();
    return PYRNN_OK;
  } catch (const InvalidFile& error) {
    return refuse(PYRNN_INVALID_FILE, error.what());
  } catch (const Unsupported& error) {
    return refuse(PYRNN_UNSUPPORTED, error.what());
  } catch (const Unreadable& error) {
    return refuse(PYRNN_UNREADABLE, error.what());
  } catch (const std::invalid_argument& error) {
    return refuse(PYRNN_INVALID_ARGUMENT, error.what());
  } catch (const std::bad_alloc&) {
    return refuse(PYRNN_OUT_OF_MEMORY, "there is not enough memory for the weights or the state");
  } catch (const std::exception& error) {
    return refuse(PYRNN_INTERNAL, error.what());
  } catch (...) {
    return refuse(PYRNN_INTERNAL, "an unknown exception");
  }
}

pyrnn_status null(const char* sentence) noexcept { return refuse(PYRNN_INVALID_ARGUMENT, sentence); }

// Sentences begin with the file's name.
template <class F> auto naming(const char* name, F f) {
  try {
    return f();
  } catch (const InvalidFile& error) {
    fail<InvalidFile>(name, " cannot be loaded: ", error.what());
  } catch (const Unsupported& error) {
    fail<Unsupported>(name, " cannot be loaded: ", error.what());
  }
}

pyrnn_model* model_of(const char* name, std::span<const unsigned char> bytes) {
  set_num_threads(1);  // a call stays in its thread: to wake others takes locks
  auto model = std::make_unique<pyrnn_model>();
  model->shared = naming(name, [&] { return std::make_shared<const Model>(read_model(bytes, isa().f32)); });
  return model.release();
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

pyrnn_status too_small() noexcept {
  return refuse(PYRNN_OUT_OF_MEMORY,
                "pyrnn_stream_init: the memory should have pyrnn_stream_bytes(model, batch) bytes");
}

// PYRNN_OK if all are indices of the Embedding that the model begins with, or it begins with another layer.
pyrnn_status check_indices(const char* function, const Model& model, const float* x, std::size_t count) noexcept {
  const float* const wrong = model.no_index(x, count);
  if (!wrong) return PYRNN_OK;
  std::snprintf(last_error, sizeof(last_error),
                "%s: x[%td] should be an index of the Embedding, a whole number from 0 to %d", function, wrong - x,
                model.layers.front().as<Embedding>()->rows - 1);
  return PYRNN_INVALID_ARGUMENT;
}

pyrnn_status run(const char* function, Chain& chain, const float* x, std::size_t steps, float* y) noexcept {
  const std::size_t rows = steps * static_cast<std::size_t>(chain.batch());
  if (const pyrnn_status status = check_indices(function, *chain.model(), x, rows)) return status;
  chain.run(x, steps, y);
  return PYRNN_OK;
}

std::vector<unsigned char> contents(const char* path) {
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(path, error);
  if (!regular)
    fail<Unreadable>(path, " cannot be read: ", error ? error.message() : std::string("it is no regular file"));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "rb"), std::fclose);
  if (!file) fail<Unreadable>(path, " cannot be read: ", std::strerror(errno));
  std::vector<unsigned char> bytes(std::filesystem::file_size(path));
  const std::size_t got = std::fread(bytes.data(), 1, bytes.size(), file.get());
  if (got != bytes.size()) fail<Unreadable>(path, " should have ", bytes.size(), " bytes, but only ", got, " came");
  return bytes;
}

}  // namespace
}  // namespace pyrnn

using namespace pyrnn;

const char* pyrnn_last_error(void) { return last_error; }

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

pyrnn_status pyrnn_model_load(const char* path, pyrnn_model** model) {
  if (!model) return null("pyrnn_model_load: model should be the address of a pointer, got NULL");
  *model = nullptr;
  if (!path) return null("pyrnn_model_load: path should be a string, got NULL");
  return guard([&] { *model = model_of(path, contents(path)); });
}

pyrnn_status pyrnn_model_from_memory(const void* bytes, size_t size, pyrnn_model** model) {
  if (!model) return null("pyrnn_model_from_memory: model should be the address of a pointer, got NULL");
  *model = nullptr;
  if (!bytes) return null("pyrnn_model_from_memory: bytes should be the contents of a file, got NULL");
  return guard([&] { *model = model_of("the model", {static_cast<const unsigned char*>(bytes), size}); });
}

void pyrnn_model_free(pyrnn_model* model) { delete model; }

size_t pyrnn_model_input_size(const pyrnn_model* model) { return model ? model->shared->input_size() : 0; }
size_t pyrnn_model_output_size(const pyrnn_model* model) { return model ? model->shared->output_size() : 0; }
size_t pyrnn_model_state_size(const pyrnn_model* model) { return model ? model->shared->state_size() : 0; }

pyrnn_status pyrnn_model_run(const pyrnn_model* model, const float* x, size_t steps, size_t batch, float* y) {
  if (!model || (steps && batch && (!x || !y))) return null("pyrnn_model_run: model, x and y should not be NULL");
  if (!steps || !batch) return PYRNN_OK;
  if (const pyrnn_status status = check_indices("pyrnn_model_run", *model->shared, x, steps * batch)) return status;
  return guard([&] {
    require(batch <= most_rows && steps <= INT_MAX / 2 / batch,
            "pyrnn_model_run: steps times batch should be at most ", INT_MAX / 2, ", and batch ", most_rows, ", got ",
            steps, " and ", batch, "; run fewer sequences at a time");
    const int rows = static_cast<int>(batch), all = static_cast<int>(steps);
    const int block = model->shared->what_looks_ahead() ? all : block_of(rows_at_once, rows);
    Chain(model->shared, rows, block, kept_memory()).run(x, steps, y);
  });
}

pyrnn_status pyrnn_stream_new(const pyrnn_model* model, size_t batch, pyrnn_stream** stream) {
  if (!stream) return null("pyrnn_stream_new: stream should be the address of a pointer, got NULL");
  *stream = nullptr;
  return guard([&] {
    const int rows = checked_batch("pyrnn_stream_new", model, batch);
    *stream = new pyrnn_stream(model->shared, rows);
  });
}

size_t pyrnn_stream_bytes(const pyrnn_model* model, size_t batch) {
  size_t bytes = 0;
  guard([&] {
    const int rows = checked_batch("pyrnn_stream_bytes", model, batch);
    Counted counted;
    pyrnn_stream(model->shared, rows, counted);
    bytes = alignment - 1 + rounded_up(sizeof(pyrnn_stream)) + counted.bytes;
  });
  return bytes;
}

pyrnn_status pyrnn_stream_init(const pyrnn_model* model, size_t batch, void* memory, size_t bytes,
                               pyrnn_stream** stream) {
  if (!stream) return null("pyrnn_stream_init: stream should be the address of a pointer, got NULL");
  *stream = nullptr;
  if (!memory) return null("pyrnn_stream_init: memory should be the address of a piece of memory, got NULL");
  const size_t needed = rounded_up(sizeof(pyrnn_stream));
  if (!std::align(alignment, needed, memory, bytes)) return too_small();
  const pyrnn_status status = guard([&] {
    const int rows = checked_batch("pyrnn_stream_init", model, batch);
    *stream = new (memory) pyrnn_stream(model->shared, rows, static_cast<char*>(memory) + needed, bytes - needed);
  });
  return status == PYRNN_OUT_OF_MEMORY ? too_small() : status;
}

pyrnn_status pyrnn_stream_clone(const pyrnn_stream* stream, pyrnn_stream** clone) {
  if (!clone) return null("pyrnn_stream_clone: clone should be the address of a pointer, got NULL");
  *clone = nullptr;
  if (!stream) return null("pyrnn_stream_clone: stream should be a stream, got NULL");
  return guard([&] {
    const Chain& chain = stream->chain;
    std::vector<float> state(static_cast<std::size_t>(chain.batch()) * chain.model()->state_size());
    auto made = std::make_unique<pyrnn_stream>(chain.model(), chain.batch());
    chain.get_state(state.data());
    made->chain.set_state(state.data());
    *clone = made.release();
  });
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
