// libFuzzer on the reader of models: any bytes are refused with a sentence, or give a model that runs, whole sequences
// and, unless it looks ahead, in a stream. run.sh builds and starts it.
#include <pyrnn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr std::size_t T = 3, B = 2;

void require(bool holds) {
  if (!holds) std::abort();
}

// A file may ask for a longer past than there is memory for: that is said, too.
bool refused(pyrnn_status status, pyrnn_status fine) {
  if (status == PYRNN_OK) return false;
  require((status == fine || status == PYRNN_OUT_OF_MEMORY) && std::strlen(pyrnn_last_error()) > 0);
  return true;
}

void run(const pyrnn_model* model) {
  // Zeros, which are indices too; then what is none.
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

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  pyrnn_model* model = nullptr;
  if (pyrnn_model_from_memory(bytes, size, &model) == PYRNN_OK) run(model);
  else require(!model && std::strlen(pyrnn_last_error()) > 0);
  pyrnn_model_free(model);
  return 0;
}
