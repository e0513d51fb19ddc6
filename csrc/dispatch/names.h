// A few names in one text, separated by blanks: "r z n". They can be counted and found when the compiler runs.
#pragma once

namespace pyrnn {

struct Names {
  const char* text;

  constexpr int count() const noexcept {
    int blanks = 0;
    for (const char* at = text; *at; ++at) blanks += *at == ' ';
    return *text ? blanks + 1 : 0;
  }
  // The place of a name, or -1 where it is not among them.
  constexpr int index_of(const char* name) const noexcept {
    int place = 0;
    for (const char* at = text; *at; ++at, ++place) {
      const char* letter = name;
      while (*at && *at != ' ' && *at == *letter) ++at, ++letter;
      if (!*letter && (!*at || *at == ' ')) return place;
      while (*at && *at != ' ') ++at;
      if (!*at) break;
    }
    return -1;
  }
};

static_assert(Names{"r z n hn"}.count() == 4 && Names{""}.count() == 0);
static_assert(Names{"r z n hn"}.index_of("n") == 2 && Names{"r z n hn"}.index_of("hn") == 3);
static_assert(Names{"r z n hn"}.index_of("h") == -1 && Names{""}.index_of("h") == -1);

}  // namespace pyrnn
