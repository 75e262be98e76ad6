#pragma once

// CHECK states what the programmer guarantees. It is on in production: a broken guarantee ends the
// process at once, with the place and the reason, before it can damage anything.

namespace paceline {

[[noreturn]] void check_failed(const char* file, int line, const char* what);

}  // namespace paceline

#define CHECK(condition)                                        \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::paceline::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
