#include "capi/guard.h"

#include <cstring>
#include <new>

#include "memory/budget.h"

namespace pyrnn {
namespace {

thread_local char sentence_of_thread[512] = "";

}  // namespace

const char* last_sentence() noexcept { return sentence_of_thread; }

pyrnn_status refuse(pyrnn_status status, const char* sentence) noexcept {
  constexpr std::size_t capacity = sizeof(sentence_of_thread) - 1;
  const std::size_t length = std::strlen(sentence), kept = length <= capacity ? length : capacity - 3;
  for (std::size_t i = 0; i < kept; ++i) {
    const char c = sentence[i];
    sentence_of_thread[i] = c >= 0x20 && c < 0x7f ? c : '?';
  }
  std::strcpy(sentence_of_thread + kept, kept < length ? "..." : "");
  return status;
}

// Texts of the standard library's own exceptions are not shown: they mean nothing to a user.
pyrnn_status refuse_exception() noexcept {
  try {
    throw;
  } catch (const InvalidFile& error) {
    return refuse(PYRNN_INVALID_FILE, error.what());
  } catch (const Unsupported& error) {
    return refuse(PYRNN_UNSUPPORTED, error.what());
  } catch (const Unreadable& error) {
    return refuse(PYRNN_UNREADABLE, error.what());
  } catch (const std::bad_alloc&) {
    return refuse(PYRNN_OUT_OF_MEMORY, "there is not enough memory for the weights or the state");
  } catch (const std::length_error&) {  // a vector larger than the address space
    return refuse(PYRNN_OUT_OF_MEMORY, "there is not enough memory for the weights or the state");
  } catch (const std::invalid_argument& error) {
    return refuse(PYRNN_INVALID_ARGUMENT, error.what());
  } catch (...) {
    return refuse(PYRNN_INTERNAL, "a defect of the library stopped this call; please report what you called it with");
  }
}

}  // namespace pyrnn
