// pyrnn.h for C++17: models and streams that free themselves and cannot be copied; failures are exceptions.
// SPDX-License-Identifier: MIT
//
//   const pyrnn::Model model = pyrnn::Model::load("vad.safetensors");
//   pyrnn::Stream stream = model.stream();
//   stream.step(x, y);
#pragma once

#include <pyrnn.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace pyrnn {
// The library itself has classes of these names. Without this namespace a static link could take the destructor of one
// for that of the other.
inline namespace wrapper {

class Error : public std::runtime_error {
 public:
  Error(pyrnn_status status) : std::runtime_error(pyrnn_last_error()), status(status) {}
  pyrnn_status status;
};

inline void check(pyrnn_status status) {
  if (status != PYRNN_OK) throw Error(status);
}

// A stream belongs to one thread at a time. A moved-from stream may only be assigned to or destroyed.
class Stream {
 public:
  void step(const float* x, float* y) { check(pyrnn_stream_step(stream_.get(), x, y)); }  // [B,I] to [B,O]
  void run(const float* x, std::size_t steps, float* y) { check(pyrnn_stream_run(stream_.get(), x, steps, y)); }
  void reset() { check(pyrnn_stream_reset(stream_.get(), nullptr)); }
  void reset(const std::vector<unsigned char>& rows) {  // [B]
    if (rows.size() != batch()) throw std::invalid_argument("reset: rows should have one byte a sequence");
    check(pyrnn_stream_reset(stream_.get(), rows.data()));
  }
  std::size_t batch() const noexcept { return pyrnn_stream_batch(stream_.get()); }
  std::vector<float> state() const {  // [B,S]
    std::vector<float> state(batch() * state_size_);
    if (!state.empty()) check(pyrnn_stream_state_get(stream_.get(), state.data()));
    return state;
  }
  void state(const std::vector<float>& state) {
    if (state.size() != batch() * state_size_) throw std::invalid_argument("state: expected batch() * state_size()");
    if (!state.empty()) check(pyrnn_stream_state_set(stream_.get(), state.data()));
  }
  Stream clone() const {
    pyrnn_stream* stream = nullptr;
    check(pyrnn_stream_clone(stream_.get(), &stream));
    return Stream(stream, state_size_);
  }
  pyrnn_stream* get() const noexcept { return stream_.get(); }

 private:
  friend class Model;
  struct Free {
    void operator()(pyrnn_stream* stream) const noexcept { pyrnn_stream_free(stream); }
  };
  Stream(pyrnn_stream* stream, std::size_t state_size) : stream_(stream), state_size_(state_size) {}
  std::unique_ptr<pyrnn_stream, Free> stream_;
  std::size_t state_size_;
};

// A model is immutable; any number of threads may use it.
class Model {
 public:
  static Model load(const std::string& path) {
    pyrnn_model* model = nullptr;
    check(pyrnn_model_load(path.c_str(), &model));
    return Model(model);
  }
  static Model from_memory(const void* bytes, std::size_t size) {
    pyrnn_model* model = nullptr;
    check(pyrnn_model_from_memory(bytes, size, &model));
    return Model(model);
  }
  // Loads with a limit of your own, in bytes, on the memory that the file may take.
  static Model load(const std::string& path, std::size_t limit) {
    pyrnn_model* model = nullptr;
    check(pyrnn_model_load_within(path.c_str(), limit, &model));
    return Model(model);
  }
  static Model from_memory(const void* bytes, std::size_t size, std::size_t limit) {
    pyrnn_model* model = nullptr;
    check(pyrnn_model_from_memory_within(bytes, size, limit, &model));
    return Model(model);
  }
  Stream stream(std::size_t batch = 1) const {
    pyrnn_stream* stream = nullptr;
    check(pyrnn_stream_new(model_.get(), batch, &stream));
    return Stream(stream, state_size());
  }
  // Makes a stream in memory of your own, of stream_bytes(batch) bytes, which must stay as long as the stream.
  Stream stream(std::size_t batch, void* memory, std::size_t bytes) const {
    pyrnn_stream* stream = nullptr;
    check(pyrnn_stream_init(model_.get(), batch, memory, bytes, &stream));
    return Stream(stream, state_size());
  }
  std::size_t stream_bytes(std::size_t batch) const noexcept { return pyrnn_stream_bytes(model_.get(), batch); }
  // Runs whole sequences from a state of zeros: x [T,B,I] to y [T,B,O].
  void run(const float* x, std::size_t steps, std::size_t batch, float* y) const {
    check(pyrnn_model_run(model_.get(), x, steps, batch, y));
  }
  std::size_t input_size() const noexcept { return pyrnn_model_input_size(model_.get()); }
  std::size_t output_size() const noexcept { return pyrnn_model_output_size(model_.get()); }
  std::size_t state_size() const noexcept { return pyrnn_model_state_size(model_.get()); }
  pyrnn_model* get() const noexcept { return model_.get(); }

 private:
  struct Free {
    void operator()(pyrnn_model* model) const noexcept { pyrnn_model_free(model); }
  };
  explicit Model(pyrnn_model* model) : model_(model) {}
  std::unique_ptr<pyrnn_model, Free> model_;
};

}  // namespace wrapper
}  // namespace pyrnn
