// A server's loop: one stream holds 1,000 sessions and computes one step for all of them at every tick. When a session
// ends, a new one takes its row, whose state starts from zero. A session moves to another stream with its row of the
// state.
//
//   server MODEL [TICKS]
#include <pyrnn.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr std::size_t sessions = 1000;

class Server {
 public:
  explicit Server(const pyrnn::Model& model)
      : inputs_(model.input_size()),
        stream_(model.stream(sessions)),
        left_(sessions),
        starts_(sessions),
        x_(sessions * model.input_size()),
        y_(sessions * model.output_size()) {}

  void tick(unsigned long time) {
    for (std::size_t s = 0; s < sessions; ++s) {
      starts_[s] = left_[s] == 0;
      if (starts_[s]) left_[s] = 1 + (s * 7 + time) % 50;  // the length of the next session in this row
      --left_[s];
      for (std::size_t i = 0; i < inputs_; ++i) x_[s * inputs_ + i] = receive(s, i, time);
    }
    stream_.reset(starts_);
    stream_.step(x_.data(), y_.data());
  }

  const std::vector<float>& outputs() const { return y_; }

 private:
  static float receive(std::size_t session, std::size_t input, unsigned long time) {
    return static_cast<float>((session * 31 + input * 17 + time * 13) % 64) / 32.0f - 1.0f;
  }

  std::size_t inputs_;
  pyrnn::Stream stream_;
  std::vector<unsigned long> left_;  // steps that remain of each session
  std::vector<unsigned char> starts_;  // whether a new session starts in a row
  std::vector<float> x_, y_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return std::fprintf(stderr, "server MODEL [TICKS]\n"), 2;
  const unsigned long ticks = count > 2 ? std::strtoul(arguments[2], nullptr, 10) : 100;
  try {
    Server server(pyrnn::Model::load(arguments[1]));
    const auto start = std::chrono::steady_clock::now();
    for (unsigned long time = 0; time < ticks; ++time) server.tick(time);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    std::printf("%s: %.1f us a tick of %zu sessions; last output %.9g\n", pyrnn_isa(), took.count() / ticks, sessions,
                server.outputs().back());
  } catch (const pyrnn::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
  return 0;
}
