#include "base/result.h"

namespace paceline {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::not_found:
      return "not_found";
    case Code::already_exists:
      return "already_exists";
    case Code::conflict:
      return "conflict";
    case Code::fenced:
      return "fenced";
    case Code::sealed:
      return "sealed";
    case Code::maybe_written:
      return "maybe_written";
    case Code::out_of_range:
      return "out_of_range";
    case Code::corrupt:
      return "corrupt";
    case Code::io_error:
      return "io_error";
    case Code::no_space:
      return "no_space";
    case Code::unavailable:
      return "unavailable";
    case Code::timed_out:
      return "timed_out";
    case Code::cancelled:
      return "cancelled";
    case Code::closed:
      return "closed";
    case Code::too_large:
      return "too_large";
    case Code::unsupported:
      return "unsupported";
    case Code::permission_denied:
      return "permission_denied";
    case Code::in_use:
      return "in_use";
    case Code::compacted:
      return "compacted";
  }
  return "unknown";
}

std::string Error::to_string() const {
  std::string text(code_name(code));
  text += ": ";
  text += message;
  return text;
}

}  // namespace paceline
