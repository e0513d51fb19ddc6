// libFuzzer on the reader of models: any bytes are refused with a sentence, or give a model that runs a step.
// run.sh builds and starts it.
#include <pyrnn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  pyrnn_model* model = nullptr;
  pyrnn_stream* stream = nullptr;
  if (pyrnn_model_from_memory(bytes, size, &model) != PYRNN_OK) {
    if (model || !std::strlen(pyrnn_last_error())) std::abort();
    return 0;
  }
  const std::vector<float> x(2 * pyrnn_model_input_size(model), 0.5f);
  std::vector<float> y(2 * pyrnn_model_output_size(model)), state(2 * pyrnn_model_state_size(model) + 1);
  if (x.empty() || y.empty() || pyrnn_stream_new(model, 2, &stream) != PYRNN_OK) std::abort();
  if (pyrnn_stream_run(stream, x.data(), 1, y.data()) != PYRNN_OK) std::abort();
  if (pyrnn_stream_state_get(stream, state.data()) != PYRNN_OK) std::abort();
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  return 0;
}
