#include "history/flat_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace paceline::history {

Result<void> FlatJson::parse(std::string_view text) {
  text_ = text;
  at_ = 0;
  count_ = 0;
  skip_blanks();
  if (!take('{')) return wrong("'{'");
  if (!take('}')) {
    do {
      skip_blanks();
      if (at_ >= text_.size() || text_[at_] != '"') return wrong("the name of a field");
      const size_t end = text_.find('"', at_ + 1);
      if (end == std::string_view::npos) return wrong("the end of a name");
      const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
      if (find(name)) return fail(Code::corrupt, fmt::format("'{}' is there twice", name));
      if (count_ == fields_.size()) fields_.emplace_back();
      Field& field = fields_[count_];
      field.name = name;
      field.used = false;
      at_ = end + 1;
      skip_blanks();
      if (!take(':')) return wrong("':'");
      skip_blanks();
      TRY_VOID(value(field));
      ++count_;
      skip_blanks();
    } while (take(','));
    if (!take('}')) return wrong("',' or '}'");
  }
  skip_blanks();
  if (at_ != text_.size()) return wrong("the end of the line");
  return {};
}

Result<void> FlatJson::value(Field& field) {
  const char first = at_ < text_.size() ? text_[at_] : '\0';
  if (first == '"') {
    field.kind = Kind::text;
    TRY(field.text, quoted());
    return {};
  }
  if (first == '[') {
    field.kind = Kind::numbers;
    return array(field);
  }
  for (const std::string_view word : {"true", "false"}) {
    if (!text_.substr(at_).starts_with(word)) continue;
    field.kind = Kind::flag;
    field.number = word == "true" ? 1 : 0;
    at_ += word.size();
    return {};
  }
  field.kind = Kind::number;
  TRY(field.number, whole_number());
  return {};
}

Result<void> FlatJson::array(Field& field) {
  field.numbers.clear();
  field.number = 0;
  at_ += 1;
  skip_blanks();
  if (take(']')) return {};
  const bool nested = text_.substr(at_).starts_with('[');
  do {
    skip_blanks();
    if (nested && !take('[')) return wrong("'['");
    const size_t before = field.numbers.size();
    do {
      skip_blanks();
      TRY(const int64_t number, whole_number());
      field.numbers.push_back(number);
      skip_blanks();
    } while (nested && take(','));
    if (!nested) continue;
    if (!take(']')) return wrong("',' or ']'");
    const auto length = static_cast<int64_t>(field.numbers.size() - before);
    if (before > 0 && length != field.number) return wrong("arrays of one length");
    field.number = length;
    skip_blanks();
  } while (take(','));
  if (!take(']')) return wrong("',' or ']'");
  return {};
}

Result<int64_t> FlatJson::whole_number() {
  int64_t number = 0;
  const char* from = text_.data() + at_;
  auto [end, error] = std::from_chars(from, text_.data() + text_.size(), number);
  if (error != std::errc{}) return wrong("a whole number of 64 bits");
  at_ += static_cast<size_t>(end - from);
  return number;
}

Result<std::string> FlatJson::quoted() {
  std::string text;
  for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
    char c = text_[at_];
    if (c == '\\') {
      constexpr std::string_view kNames = "\"\\/nrt";
      constexpr std::string_view kMeant = "\"\\/\n\r\t";
      const size_t which = at_ + 1 < text_.size() ? kNames.find(text_[at_ + 1]) : kNames.npos;
      if (which == kNames.npos) return wrong("a known escape");
      c = kMeant[which];
      ++at_;
    }
    text += c;
  }
  if (!take('"')) return wrong("the end of a text");
  return text;
}

void FlatJson::skip_blanks() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
}

bool FlatJson::take(char c) {
  if (at_ >= text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

std::unexpected<Error> FlatJson::wrong(std::string_view expected) const {
  return fail(Code::corrupt, fmt::format("{} is missing at column {}", expected, at_ + 1));
}

FlatJson::Field* FlatJson::find(std::string_view name) {
  for (size_t i = 0; i < count_; ++i)
    if (fields_[i].name == name) return &fields_[i];
  return nullptr;
}

Result<int64_t> FlatJson::number(std::string_view name, int64_t least, int64_t most) {
  Field* field = find(name);
  if (!field) return fail(Code::corrupt, fmt::format("'{}' is missing", name));
  field->used = true;
  if (field->kind != Kind::number || field->number < least || field->number > most)
    return fail(Code::corrupt,
                fmt::format("'{}' is not a number from {} to {}", name, least, most));
  return field->number;
}

Result<int64_t> FlatJson::number_or(std::string_view name, int64_t least, int64_t most,
                                    int64_t otherwise) {
  if (!find(name)) return otherwise;
  return number(name, least, most);
}

Result<bool> FlatJson::flag_or(std::string_view name, bool otherwise) {
  Field* field = find(name);
  if (!field) return otherwise;
  field->used = true;
  if (field->kind != Kind::flag)
    return fail(Code::corrupt, fmt::format("'{}' is neither true nor false", name));
  return field->number == 1;
}

Result<std::string> FlatJson::text(std::string_view name) {
  Field* field = find(name);
  if (!field || field->kind != Kind::text)
    return fail(Code::corrupt, fmt::format("'{}' is {}", name, field ? "no text" : "missing"));
  field->used = true;
  return field->text;
}

Result<std::string> FlatJson::text_or(std::string_view name, std::string_view otherwise) {
  return find(name) ? text(name) : Result<std::string>(otherwise);
}

Result<std::vector<int64_t>> FlatJson::numbers_or_none(std::string_view name, int64_t inner) {
  Field* field = find(name);
  if (!field) return std::vector<int64_t>();
  field->used = true;
  if (field->kind != Kind::numbers || (!field->numbers.empty() && field->number != inner))
    return fail(Code::corrupt,
                inner == 0 ? fmt::format("'{}' is no array of numbers", name)
                           : fmt::format("'{}' is no array of arrays of {} numbers", name, inner));
  return field->numbers;
}

Result<void> FlatJson::all_used() const {
  for (size_t i = 0; i < count_; ++i)
    if (!fields_[i].used)
      return fail(Code::corrupt, fmt::format("'{}' is no field of this event", fields_[i].name));
  return {};
}

std::string json_text(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\n') {
      quoted += "\\n";
    } else {
      // Control characters help nobody who reads a sentence.
      quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return quoted + '"';
}

}  // namespace paceline::history
