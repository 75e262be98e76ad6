#include "evidence/ledger.h"

#include <bit>
#include <concepts>
#include <cstring>

#include "base/crc32c.h"

namespace paceline::evidence {
namespace {

constexpr std::string_view kMagic = "PLDRILL1";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 16;
constexpr size_t kCrcAt = kLedgerRowBytes - 4;
constexpr uint8_t kDamaged = 2;

// Little endian, unlike what goes over the wire: whoever reads a ledger does so on a desk.
template <std::integral T>
T swapped(T value) {
  if constexpr (sizeof(T) > 1 && std::endian::native == std::endian::big)
    return std::byteswap(value);
  return value;
}

class Cursor {
 public:
  explicit Cursor(char* at) : at_(at) {}
  template <std::integral T>
  void put(T value) {
    value = swapped(value);
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }

 private:
  char* at_;
};

class Reader {
 public:
  explicit Reader(const char* at) : at_(at) {}
  template <std::integral T>
  void get(T& value) {
    std::memcpy(&value, at_, sizeof value);
    value = swapped(value);
    at_ += sizeof value;
  }

 private:
  const char* at_;
};

bool read_row(std::string_view bytes, LedgerRow& row) {
  Reader reader(bytes.data());
  uint8_t kind = 0;
  uint8_t flags = 0;
  uint32_t crc = 0;
  reader.get(kind);
  reader.get(flags);
  reader.get(row.client);
  reader.get(row.reader);
  reader.get(row.topic);
  reader.get(row.partition);
  reader.get(row.epoch);
  reader.get(row.broker);
  reader.get(row.error);
  reader.get(row.seq);
  reader.get(row.offset);
  reader.get(row.intended_ns);
  reader.get(row.at_ns);
  reader.get(row.amount);
  reader.get(row.key);
  reader.get(crc);
  row.kind = static_cast<LedgerRow::Kind>(kind);
  row.damaged = (flags & kDamaged) != 0;
  return crc == crc32c(as_bytes(bytes.substr(0, kCrcAt))) && kind >= 1 &&
         kind <= static_cast<uint8_t>(LedgerRow::Kind::read_back);
}

}  // namespace

std::string ledger_header() {
  std::string header(kMagic);
  header.resize(kHeaderBytes);
  Cursor(header.data() + kMagic.size()).put(kVersion);
  return header;
}

void append_row(const LedgerRow& row, std::string& to) {
  const size_t from = to.size();
  to.resize(from + kLedgerRowBytes);
  Cursor cursor(to.data() + from);
  cursor.put(static_cast<uint8_t>(row.kind));
  cursor.put(row.damaged ? kDamaged : uint8_t{0});
  cursor.put(row.client);
  cursor.put(row.reader);
  cursor.put(row.topic);
  cursor.put(row.partition);
  cursor.put(row.epoch);
  cursor.put(row.broker);
  cursor.put(row.error);
  cursor.put(row.seq);
  cursor.put(row.offset);
  cursor.put(row.intended_ns);
  cursor.put(row.at_ns);
  cursor.put(row.amount);
  cursor.put(row.key);
  cursor.put(crc32c(as_bytes(std::string_view(to).substr(from, kCrcAt))));
}

Result<Ledger> parse_ledger(std::string_view bytes) {
  if (bytes.substr(0, kHeaderBytes) != ledger_header())
    return fail(Code::corrupt, "the ledger does not begin as one of version 1 does");
  bytes.remove_prefix(kHeaderBytes);
  Ledger ledger;
  ledger.rows.reserve(bytes.size() / kLedgerRowBytes);
  for (; bytes.size() >= kLedgerRowBytes; bytes.remove_prefix(kLedgerRowBytes)) {
    LedgerRow row;
    if (read_row(bytes.substr(0, kLedgerRowBytes), row)) {
      ledger.rows.push_back(row);
    } else {
      ++ledger.damaged_rows;
    }
  }
  ledger.cut = !bytes.empty();
  return ledger;
}

}  // namespace paceline::evidence
