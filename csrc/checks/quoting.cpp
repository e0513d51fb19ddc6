#include "checks/quoting.h"

#include <algorithm>
#include <cstdio>

namespace pyrnn {
namespace {

constexpr int most_letters = 100;  // shown of one name

// Removes the next character from the front of the text and returns its code point; if the bytes are not valid UTF-8,
// it removes and returns one byte.
unsigned next_letter(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t more = first < 0xc2 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 0;
  unsigned code = more ? first & (0x3fu >> more) : first;
  std::size_t taken = 1;
  while (taken <= more && taken < text.size() && (byte(taken) & 0xc0) == 0x80)
    code = code << 6 | (byte(taken++) & 0x3f);
  if (taken <= more) code = first, taken = 1;
  text.remove_prefix(taken);
  return code;
}

void append_printable(std::string& to, unsigned code) {
  constexpr std::string_view named = "\t\n\r\\", letters = "tnr\\";
  if (const auto at = code < 0x80 ? named.find(static_cast<char>(code)) : named.npos; at != named.npos) {
    to += {'\\', letters[at]};
  } else if (code >= 0x20 && code < 0x7f) {
    to += static_cast<char>(code);
  } else {
    char escape[12];
    std::snprintf(escape, sizeof escape, code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
    to += escape;
  }
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) append_printable(shown, next_letter(text));
  return shown;
}

std::string quoted(std::string_view name) {
  std::string shown = "\"";
  for (int i = 0; i < most_letters && !name.empty(); ++i) append_printable(shown, next_letter(name));
  return shown + (name.empty() ? "\"" : "...\"");
}

}  // namespace pyrnn
