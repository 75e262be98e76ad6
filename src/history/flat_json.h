#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::history {

// A JSON object whose values are whole numbers, true, false, texts and arrays of whole numbers,
// also one level deeper. Parsed into memory that the next parse() uses again.
class FlatJson {
 public:
  enum class Kind : uint8_t { number, flag, text, numbers };
  struct Field {
    std::string_view name;
    Kind kind = Kind::number;
    int64_t number =
        0;  // or 0, 1 of a flag; of numbers: how many each inner array holds, 0 if none
    std::string text;
    std::vector<int64_t> numbers;
    bool used = false;
  };

  // `text` stays as long as the fields are asked for.
  Result<void> parse(std::string_view text);

  // Nothing if there is no such field. An error if it is of another kind or outside of the bounds.
  Result<int64_t> number(std::string_view name, int64_t least, int64_t most);
  Result<int64_t> number_or(std::string_view name, int64_t least, int64_t most, int64_t otherwise);
  Result<bool> flag_or(std::string_view name, bool otherwise);
  Result<std::string> text(std::string_view name);
  Result<std::string> text_or(std::string_view name, std::string_view otherwise);
  // Empty if there is no such field. `inner`: 0 for plain numbers, else the length of each array.
  Result<std::vector<int64_t>> numbers_or_none(std::string_view name, int64_t inner);
  // An error if a field was never asked for.
  Result<void> all_used() const;

 private:
  Result<void> value(Field& field);
  Result<void> array(Field& field);
  Result<int64_t> whole_number();
  Result<std::string> quoted();
  void skip_blanks();
  bool take(char c);
  std::unexpected<Error> wrong(std::string_view expected) const;
  Field* find(std::string_view name);

  std::string_view text_;
  size_t at_ = 0;
  std::vector<Field> fields_;
  size_t count_ = 0;  // of fields_ in use
};

// As a JSON text, with its quotes.
std::string json_text(std::string_view text);

}  // namespace paceline::history
