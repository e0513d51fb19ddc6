// The C++ wrapper: its objects can be moved but not copied, it gives the same numbers, and failures are exceptions.
#include <pyrnn.hpp>

#include <cstdio>
#include <type_traits>

static_assert(!std::is_copy_constructible_v<pyrnn::Model> && std::is_nothrow_move_constructible_v<pyrnn::Model>);
static_assert(!std::is_copy_constructible_v<pyrnn::Stream> && std::is_nothrow_move_constructible_v<pyrnn::Stream>);

static std::string sentence_of(const std::string& path, pyrnn_status& status) {
  try {
    pyrnn::Model::load(path);
  } catch (const pyrnn::Error& error) {
    status = error.status;
    return error.what();
  }
  return "";
}

static bool works(const std::string& path) {
  pyrnn::Stream stream = pyrnn::Model::load(path).stream(2);  // the stream outlives its model
  const pyrnn::Model model = pyrnn::Model::load(path);
  std::vector<float> x(2 * model.input_size(), 0.5f), y(2 * model.output_size()), z(y);
  stream.step(x.data(), y.data());
  pyrnn::Stream twin = stream.clone(), moved = std::move(twin);
  stream.run(x.data(), 1, y.data());
  moved.step(x.data(), z.data());
  if (y != z || stream.state() != moved.state() || moved.batch() != 2) return false;
  moved.reset({1, 1});
  stream.reset();
  if (stream.state() != std::vector<float>(2 * model.state_size()) || stream.state() != moved.state()) return false;
  stream.state(std::vector<float>(2 * model.state_size(), 0.25f));
  return stream.state() != moved.state();
}

static bool is_limited(const std::string& path) {
  pyrnn::Model::load(path, std::size_t{1} << 30);
  try {
    pyrnn::Model::load(path, 1000);
  } catch (const pyrnn::Error& error) {
    return error.status == PYRNN_INVALID_FILE;
  }
  return false;
}

int main(int, char** arguments) {
  pyrnn_status status = PYRNN_OK;
  const bool refused = sentence_of("no such file", status).find("no such file cannot be read") == 0;
  const bool good = works(arguments[1]) && is_limited(arguments[1]);
  std::printf("%d %d %s\n", refused, good, pyrnn_status_name(status));
  return refused && good && status == PYRNN_UNREADABLE ? 0 : 1;
}
