#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace paceline::env {
class Disk;
}

namespace paceline::drill {

// Which build of a program that is: the id that its linker gave it, hexadecimal, as `file` prints
// it. Two binaries with the same one are the same. corrupt: it has none.
Result<std::string> build_id_of(env::Disk& disk, const std::string& path);
// Of the file's bytes, or of as many from its beginning as hold its notes.
Result<std::string> build_id_in(std::string_view elf);

}  // namespace paceline::drill
