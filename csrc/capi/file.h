// The contents of a model's file, read only where it can be one and its budget allows for it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "memory/budget.h"

namespace pyrnn {

// Memory that the caller allows a file of so many bytes, or what its length allows.
inline Budget budget_of(std::size_t length, std::optional<std::size_t> limit) {
  return limit ? Budget(*limit) : Budget::of_file(length);
}

class Contents {
 public:
  // Throws Unreadable (guard.h), InvalidFile where it begins as no .safetensors file does.
  explicit Contents(const char* path, std::optional<std::size_t> limit);

  std::span<const unsigned char> bytes() const noexcept { return {bytes_.get(), size_}; }
  Budget& budget() noexcept { return *budget_; }

 private:
  std::size_t size_ = 0;
  std::optional<Budget> budget_;
  std::unique_ptr<unsigned char[]> bytes_;
};

// A path inside a sentence: its end, and printable.
std::string shown(std::string_view path);

}  // namespace pyrnn
