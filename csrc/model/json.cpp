#include "model/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "checks/require.h"

namespace pyrnn {
namespace {

constexpr int most_depth = 32;
constexpr std::size_t node =
    sizeof(Json::Object::value_type) + 64;  // bytes of a member of an object, with the map's own pointers

class Parser {
 public:
  Parser(std::string_view text, const std::string& what, Budget& budget) : text_(text), what_(what), budget_(budget) {}

  Json document() {
    Json found = value(0);
    space();
    if (at_ != text_.size()) refuse("something follows its end");
    return found;
  }

 private:
  [[noreturn]] void refuse(const char* why) const {
    fail<InvalidFile>(what_, " is no sound JSON: ", why, " (byte ", at_, ")");
  }
  char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) noexcept { return at_ < text_.size() && text_[at_] == c ? ++at_, true : false; }
  void space() noexcept {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool word(std::string_view expected) noexcept {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  Json value(int depth) {
    if (depth > most_depth) refuse("it is nested too deeply");
    space();
    Json found;
    if (peek() == '{') {
      object(found, depth);
    } else if (peek() == '[') {
      array(found, depth);
    } else if (peek() == '"') {
      found.kind = Json::Kind::string;
      found.string = string();
    } else if (word("true") || word("false")) {
      found.kind = Json::Kind::boolean;
      found.boolean = text_[at_ - 2] == 'u';
    } else if (!word("null")) {
      number(found);
    }
    return found;
  }

  void object(Json& found, int depth) {
    found.kind = Json::Kind::object;
    ++at_;
    space();
    if (take('}')) return;
    do {
      space();
      budget_.spend(node, what_);
      std::string key = string();
      space();
      if (!take(':')) refuse("a colon is missing");
      if (!found.object.try_emplace(std::move(key), value(depth + 1)).second) refuse("a key stands twice");
      space();
    } while (take(','));
    if (!take('}')) refuse("a } is missing");
  }

  void array(Json& found, int depth) {
    found.kind = Json::Kind::array;
    ++at_;
    space();
    if (take(']')) return;
    do {
      grow(found.array);
      found.array.push_back(value(depth + 1));
      space();
    } while (take(','));
    if (!take(']')) refuse("a ] is missing");
  }

  // Doubles the capacity. All memory that growing allocates is spent from the budget, even what is freed again.
  void grow(std::vector<Json>& array) {
    if (array.size() < array.capacity()) return;
    const std::size_t count = std::max<std::size_t>(1, 2 * array.size());
    budget_.spend(count * sizeof(Json), what_);
    array.reserve(count);
  }

  bool digits() noexcept {
    const std::size_t from = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > from;
  }

  // Checks the syntax itself, because from_chars accepts more than JSON allows: "01", "1.", "inf".
  void number(Json& found) {
    const std::size_t from = at_;
    take('-');
    if (!take('0') && !digits()) refuse("a value is missing");
    bool integer = true;
    if (take('.')) {
      integer = false;
      if (!digits()) refuse("a digit is missing");
    }
    if (take('e') || take('E')) {
      integer = false;
      take('+') || take('-');
      if (!digits()) refuse("a digit is missing");
    }
    found.kind = Json::Kind::number;
    const auto [end, error] = std::from_chars(text_.data() + from, text_.data() + at_, found.number);
    if (error != std::errc() || end != text_.data() + at_) refuse("a number is too large");
    found.is_integer = integer && std::abs(found.number) < 0x1p53;
  }

  std::string string() {
    if (!take('"')) refuse("a string is missing");
    const std::size_t from = at_;
    std::string found;
    while (!take('"')) {
      if (at_ == text_.size()) refuse("a string has no end");
      const char c = text_[at_++];
      if (static_cast<unsigned char>(c) < 0x20) refuse("a string holds a control character");
      if (c == '\\') escape(found);
      else found += c;
    }
    budget_.spend(2 * (at_ - from), what_);  // it grew by doubling, and no character is longer than its escape
    return found;
  }

  void escape(std::string& to) {
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const char letter = peek();
    const std::size_t known = letter ? letters.find(letter) : std::string_view::npos;
    if (letter) ++at_;
    if (known != std::string_view::npos) {
      to += meanings[known];
      return;
    }
    if (letter != 'u') refuse("an escape is unknown");
    unsigned code = hex4();
    if (code >= 0xd800 && code < 0xdc00) {  // the first half of a surrogate pair
      const unsigned low = word("\\u") ? hex4() : 0;
      if (low < 0xdc00 || low > 0xdfff) refuse("half a surrogate pair is missing");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code < 0x20 || (code >= 0xdc00 && code < 0xe000)) {
      refuse("an escape stands for no character");  // a NUL would end a name early
    }
    utf8(code, to);
  }

  unsigned hex4() {
    unsigned code = 0;
    const std::string_view four = text_.substr(at_, 4);
    const auto [end, error] = std::from_chars(four.data(), four.data() + four.size(), code, 16);
    if (four.size() < 4 || error != std::errc() || end != four.data() + 4) refuse("an escape is cut short");
    at_ += 4;
    return code;
  }

  static void utf8(unsigned code, std::string& to) {
    const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    constexpr unsigned first[] = {0, 0xc0, 0xe0, 0xf0};
    to += static_cast<char>(first[more] | (code >> (6 * more)));
    for (int i = more; i-- > 0;) to += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3f));
  }

  std::string_view text_;
  const std::string& what_;
  Budget& budget_;
  std::size_t at_ = 0;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& what, Budget& budget) {
  return Parser(text, what, budget).document();
}

}  // namespace pyrnn
