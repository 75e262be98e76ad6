#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace paceline {

void check_failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "FATAL %s:%d: CHECK(%s) does not hold\n", file, line, what);
  std::abort();
}

}  // namespace paceline
