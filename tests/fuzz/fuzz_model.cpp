// libFuzzer on the reader of models. Any bytes are refused with a sentence or give a model that runs on whole
// sequences and, unless it looks ahead, in a stream. Neither loading nor a stream takes more memory than the file may.
// run.sh builds and starts it.
#include <pyrnn.h>

#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr std::size_t T = 3, B = 2;

void require(bool holds) {
  if (!holds) std::abort();
}

// Bytes on the heap, counted by hooks of AddressSanitizer's allocator.
std::atomic<long> live{0}, most{0};

void taken(const volatile void*, std::size_t size) {
  const long now = live += static_cast<long>(size);
  if (now > most) most = now;
}
void given_back(const volatile void* memory) {
  if (memory) live -= static_cast<long>(__sanitizer_get_allocated_size(memory));
}

// Returns the peak of the bytes that f allocates, above those that are already allocated.
template <class F> long most_taken_by(F f) {
  const long before = live;
  most = before;
  f();
  return most - before;
}

// The limit that capi/pyrnn.h states, 64 times the length plus 16 MiB, and an allowance for exceptions and their
// sentences.
long allowed(std::size_t size) { return 64 * static_cast<long>(size) + (16 << 20) + (1 << 16); }

bool refused(pyrnn_status status, pyrnn_status fine) {
  if (status == PYRNN_OK) return false;
  require((status == fine || status == PYRNN_OUT_OF_MEMORY) && std::strlen(pyrnn_last_error()) > 0);
  return true;
}

void run(const pyrnn_model* model) {
  // Inputs of zeros, which are valid indices; then of halves, which are not.
  const std::vector<float> zeros(T * B * pyrnn_model_input_size(model)), halves(zeros.size(), 0.5f);
  std::vector<float> y(T * B * pyrnn_model_output_size(model)), state(B * pyrnn_model_state_size(model) + 1);
  require(!zeros.empty() && !y.empty());
  if (refused(pyrnn_model_run(model, zeros.data(), T, B, y.data()), PYRNN_OUT_OF_MEMORY)) return;
  pyrnn_stream* stream = nullptr;
  if (refused(pyrnn_stream_new(model, B, &stream), PYRNN_UNSUPPORTED)) return require(stream == nullptr);
  require(pyrnn_stream_run(stream, zeros.data(), T, y.data()) == PYRNN_OK);
  refused(pyrnn_stream_step(stream, halves.data(), y.data()), PYRNN_INVALID_ARGUMENT);
  require(pyrnn_stream_state_get(stream, state.data()) == PYRNN_OK);
  require(pyrnn_stream_state_set(stream, state.data()) == PYRNN_OK);
  pyrnn_stream_free(stream);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  __sanitizer_install_malloc_and_free_hooks(taken, given_back);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  pyrnn_model* model = nullptr;
  const long taken_at_most = most_taken_by([&] {
    const pyrnn_status status = pyrnn_model_from_memory(bytes, size, &model);
    require(status == PYRNN_OK || status == PYRNN_INVALID_FILE || status == PYRNN_UNSUPPORTED);
    require((status == PYRNN_OK) == (model != nullptr) && (model || std::strlen(pyrnn_last_error()) > 0));
    pyrnn_stream* stream = nullptr;
    if (model) refused(pyrnn_stream_new(model, 1, &stream), PYRNN_UNSUPPORTED);
    pyrnn_stream_free(stream);
  });
  require(taken_at_most <= allowed(size));
  if (model) {
    require(most_taken_by([&] { pyrnn_stream_bytes(model, std::size_t{1} << 24); }) <
            64 * static_cast<long>(size) + (1 << 16));
    run(model);
  }
  pyrnn_model_free(model);
  const std::size_t limit = 100 * size;
  require(most_taken_by([&] {
            if (pyrnn_model_from_memory_within(bytes, size, limit, &model) != PYRNN_OK) require(!model);
            pyrnn_model_free(model);
          }) <= static_cast<long>(limit) + (1 << 16));
  return 0;
}
