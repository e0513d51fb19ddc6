// The contents of a model's file. It is read only if its beginning fits and its budget allows it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "memory/budget.h"

namespace pyrnn {

// Returns the budget of a file of `length` bytes: the caller's limit, or what its length allows.
inline Budget budget_of(std::size_t length, std::optional<std::size_t> limit) {
  return limit ? Budget(*limit) : Budget::of_file(length);
}

class Contents {
 public:
  // Throws Unreadable (guard.h), or InvalidFile if it does not begin as a .safetensors file does.
  explicit Contents(const char* path, std::optional<std::size_t> limit);

  std::span<const unsigned char> bytes() const noexcept { return {bytes_.get(), size_}; }
  Budget& budget() noexcept { return *budget_; }

 private:
  std::size_t size_ = 0;
  std::optional<Budget> budget_;
  std::unique_ptr<unsigned char[]> bytes_;
};

// Returns the end of a path in printable form, for a sentence.
std::string shown(std::string_view path);

}  // namespace pyrnn
