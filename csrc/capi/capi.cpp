// pyrnn.h on the runtime: every call that may throw goes through guard, the others check and forward.
#include "capi/pyrnn.h"

#include "isa/select.h"
#include "runtime/chain.h"
#include "runtime/json.h"
#include "runtime/parallel.h"
#include "runtime/require.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

struct pyrnn_model {
  std::shared_ptr<const pyrnn::Model> shared;
};

struct pyrnn_stream {
  pyrnn::Chain chain;
};

namespace pyrnn {
namespace {

constexpr std::size_t most_rows = std::size_t{1} << 24;  // rows times steps of a block are ints

thread_local char last_error[512] = "";

pyrnn_status refuse(pyrnn_status status, const char* sentence) noexcept {
  std::strncpy(last_error, sentence, sizeof(last_error) - 1);
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

pyrnn_status pyrnn_stream_new(const pyrnn_model* model, size_t batch, pyrnn_stream** stream) {
  if (!stream) return null("pyrnn_stream_new: stream should be the address of a pointer, got NULL");
  *stream = nullptr;
  if (!model) return null("pyrnn_stream_new: model should be a model, got NULL");
  return guard([&] {
    require(batch >= 1 && batch <= most_rows, "pyrnn_stream_new: batch should be from 1 to ", most_rows, ", got ",
            batch);
    *stream = new pyrnn_stream{Chain(model->shared, static_cast<int>(batch))};
  });
}

pyrnn_status pyrnn_stream_clone(const pyrnn_stream* stream, pyrnn_stream** clone) {
  if (!clone) return null("pyrnn_stream_clone: clone should be the address of a pointer, got NULL");
  *clone = nullptr;
  if (!stream) return null("pyrnn_stream_clone: stream should be a stream, got NULL");
  return guard([&] { *clone = new pyrnn_stream{stream->chain.clone()}; });
}

void pyrnn_stream_free(pyrnn_stream* stream) { delete stream; }

size_t pyrnn_stream_batch(const pyrnn_stream* stream) { return stream ? stream->chain.batch() : 0; }

pyrnn_status pyrnn_stream_step(pyrnn_stream* stream, const float* x, float* y) {
  if (!stream || !x || !y) return null("pyrnn_stream_step: stream, x and y should not be NULL");
  stream->chain.run(x, 1, y);
  return PYRNN_OK;
}

pyrnn_status pyrnn_stream_run(pyrnn_stream* stream, const float* x, size_t steps, float* y) {
  if (!stream || (steps && (!x || !y))) return null("pyrnn_stream_run: stream, x and y should not be NULL");
  stream->chain.run(x, steps, y);
  return PYRNN_OK;
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
