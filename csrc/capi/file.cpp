#include "capi/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "capi/guard.h"
#include "checks/quoting.h"
#include "model/safetensors.h"

namespace pyrnn {
namespace {

[[noreturn]] void cannot_read(const char* path, const std::string& why) {
  fail<Unreadable>(shown(path), " cannot be read: ", why);
}

// Returns the size of a regular file and refuses other kinds: reading a pipe or a device might never end.
std::size_t size_of(const char* path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) cannot_read(path, "it is a folder");
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    cannot_read(path, "it is no regular file");
  const std::uintmax_t size = error ? 0 : std::filesystem::file_size(path, error);
  if (error) cannot_read(path, error.message());
  if (size > PTRDIFF_MAX) cannot_read(path, "it is too large for this system");
  return static_cast<std::size_t>(size);
}

}  // namespace

Contents::Contents(const char* path, std::optional<std::size_t> limit) : size_(size_of(path)) {
  errno = 0;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "rb"), std::fclose);
  if (!file && errno == ENOMEM) throw std::bad_alloc();
  if (!file) cannot_read(path, std::strerror(errno));
  std::setvbuf(file.get(), nullptr, _IONBF, 0);  // no buffer: there are two reads, both into our own memory
  const auto read = [&](unsigned char* to, std::size_t from, std::size_t until) {
    const std::size_t got = from + std::fread(to, 1, until - from, file.get());
    if (got != until)
      fail<Unreadable>(shown(path), " cannot be read: it should have ", size_, " bytes, but only ", got, " came");
  };
  unsigned char beginning[beginning_bytes];
  const std::size_t begun = std::min(size_, sizeof(beginning));
  read(beginning, 0, begun);
  check_beginning({beginning, begun}, size_);
  budget_ = budget_of(size_, limit);
  budget_->spend(size_, "the file itself");
  bytes_ = std::make_unique_for_overwrite<unsigned char[]>(size_);
  std::copy_n(beginning, begun, bytes_.get());
  read(bytes_.get() + begun, begun, size_);
}

std::string shown(std::string_view path) {
  constexpr std::size_t most = 200;
  return path.size() <= most ? printable(path) : "..." + printable(path.substr(path.size() - most));
}

}  // namespace pyrnn
