#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace paceline {

// The closed list of operating errors. A code exists only if a caller can react to it; everything
// else a human may want to know is in the message.
enum class Code : uint8_t {
  invalid_argument,   // the caller asked for something that can never work
  not_found,          // the named thing is not there
  already_exists,     // create-once found another one there
  conflict,           // a compare did not hold; nothing was written
  fenced,             // somebody newer owns this; stop
  sealed,             // the lane is sealed; nothing more can be appended
  maybe_written,      // unknown outcome: read back before acting on it
  out_of_range,       // an offset or position outside of what is kept
  corrupt,            // a checksum or a structure does not hold
  io_error,           // the disk or the peer failed
  no_space,           // the disk is full
  unavailable,        // try again later
  timed_out,          // the deadline passed; nothing is known to have happened
  cancelled,          // we were asked to stop
  closed,             // the other side, or this object, is closed
  too_large,          // over a configured limit
  unsupported,        // a version, codec or feature we do not have
  permission_denied,  // the system refuses
  in_use,             // a port, a folder or a lock belongs to somebody else
  compacted,          // the history asked for is no longer kept
};

// Stable lower-case name of a code, for logs and metrics.
std::string_view code_name(Code code);

struct Error {
  Code code;
  std::string message;  // one sentence; names the thing, never a secret

  std::string to_string() const;
};

template <class T = void>
using Result = std::expected<T, Error>;

// Failure: `return fail(Code::not_found, "no topic 'a'");`
inline std::unexpected<Error> fail(Code code, std::string message) {
  return std::unexpected<Error>(Error{code, std::move(message)});
}
inline std::unexpected<Error> fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}

}  // namespace paceline

#define PACELINE_CONCAT_(a, b) a##b
#define PACELINE_CONCAT(a, b) PACELINE_CONCAT_(a, b)

// Declaration forms. `TRY(auto x, f())` binds the value or returns the error; `TRY_VOID(f())` for
// Result<void>. The CO_ forms do the same inside a coroutine.
#define PACELINE_TRY_(tmp, ret, declaration, ...) \
  auto tmp = (__VA_ARGS__);                       \
  if (!tmp) [[unlikely]]                          \
    ret ::paceline::fail(std::move(tmp).error()); \
  declaration = std::move(*tmp)
#define PACELINE_TRY_VOID_(tmp, ret, ...)           \
  do {                                              \
    auto tmp = (__VA_ARGS__);                       \
    if (!tmp) [[unlikely]]                          \
      ret ::paceline::fail(std::move(tmp).error()); \
  } while (false)

#define TRY(declaration, ...) \
  PACELINE_TRY_(PACELINE_CONCAT(try_, __COUNTER__), return, declaration, __VA_ARGS__)
#define TRY_VOID(...) PACELINE_TRY_VOID_(PACELINE_CONCAT(try_, __COUNTER__), return, __VA_ARGS__)
#define CO_TRY(declaration, ...) \
  PACELINE_TRY_(PACELINE_CONCAT(try_, __COUNTER__), co_return, declaration, __VA_ARGS__)
#define CO_TRY_VOID(...) \
  PACELINE_TRY_VOID_(PACELINE_CONCAT(try_, __COUNTER__), co_return, __VA_ARGS__)
