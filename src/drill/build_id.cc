#include "drill/build_id.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>

#include "drill/local_process.h"

namespace paceline::drill {
namespace {

// Notes stand where the first page of a program is.
constexpr size_t kBytesRead = 64u << 10;

// Nothing: it does not lie in there as a whole.
template <class Struct>
bool read_at(std::string_view bytes, uint64_t at, Struct& into) {
  if (at > bytes.size() || bytes.size() - at < sizeof(Struct)) return false;
  std::memcpy(&into, bytes.data() + at, sizeof(Struct));
  return true;
}

uint64_t padded(uint64_t bytes) {
  return (bytes + 3) / 4 * 4;
}

std::string id_among(std::string_view notes) {
  constexpr std::string_view kOwner("GNU\0", 4);
  Elf64_Nhdr note{};
  while (read_at(notes, 0, note)) {
    const uint64_t name = sizeof(note), value = name + padded(note.n_namesz);
    const uint64_t end = value + padded(note.n_descsz);
    if (end > notes.size()) return {};
    if (note.n_type == NT_GNU_BUILD_ID && notes.substr(name, note.n_namesz) == kOwner) {
      std::string id;
      for (const char byte : notes.substr(value, note.n_descsz))
        id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
      return id;
    }
    notes.remove_prefix(end);
  }
  return {};
}

}  // namespace

Result<std::string> build_id_in(std::string_view elf) {
  Elf64_Ehdr header{};
  if (!elf.starts_with(ELFMAG) || !read_at(elf, 0, header) ||
      header.e_ident[EI_CLASS] != ELFCLASS64)
    return fail(Code::corrupt, "it is no program of 64 bits");
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part{};
    if (!read_at(elf, header.e_phoff + i * header.e_phentsize, part)) break;
    if (part.p_type != PT_NOTE || part.p_offset > elf.size()) continue;
    const std::string id = id_among(elf.substr(part.p_offset, part.p_filesz));
    if (!id.empty()) return id;
  }
  return fail(Code::corrupt, "its linker has given it no id");
}

Result<std::string> build_id_of(env::Disk& disk, const std::string& path) {
  TRY(const std::string bytes, read_head(disk, path, kBytesRead));
  return build_id_in(bytes);
}

}  // namespace paceline::drill
