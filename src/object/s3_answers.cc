#include "object/s3_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "object/s3_location.h"
#include "object/s3_xml.h"

namespace paceline::object {
namespace {

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(Code::corrupt, fmt::format("the store's answer holds no {}", what));
}

Result<XmlElement> document(std::string_view text, std::string_view root) {
  TRY(XmlElement element, parse_xml(text));
  if (element.name != root) return corrupt(root);
  return element;
}

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<bool> flag(const XmlElement& element, std::string_view name) {
  const std::string_view text = element.text_of(name);
  if (text != "true" && text != "false") return corrupt(name);
  return text == "true";
}

// Keys are encoded when that was asked for and the answer says so.
Result<std::string> key_text(const XmlElement& root, std::string_view text) {
  return root.text_of("EncodingType") == "url" ? url_decode(text) : Result<std::string>(text);
}

// A message of the store is one line of a log, whatever it holds.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, 300));
  std::ranges::replace_if(out, [](char c) { return c < ' ' || c == 0x7f; }, ' ');
  return out;
}

S3Error error_of(const XmlElement& element) {
  return {printable(element.text_of("Code")), printable(element.text_of("Message"))};
}

}  // namespace

S3Error parse_s3_error(std::string_view text) {
  auto root = parse_xml(text);
  if (!root) return {};
  // STS wraps what S3 says plainly.
  const XmlElement* error = root->name == "Error" ? &*root : root->child("Error");
  return error ? error_of(*error) : S3Error{};
}

Result<S3ListPage> parse_s3_list(std::string_view text) {
  TRY(const XmlElement root, document(text, "ListBucketResult"));
  S3ListPage page;
  TRY(page.truncated, flag(root, "IsTruncated"));
  for (const XmlElement& element : root.children) {
    if (element.name != "Contents") continue;
    S3ListPage::Object object;
    TRY(object.key, key_text(root, element.text_of("Key")));
    const auto bytes = whole_number(element.text_of("Size"));
    if (object.key.empty()) return corrupt("key");
    if (!bytes) return corrupt("size");
    object.bytes = *bytes;
    page.objects.push_back(std::move(object));
  }
  return page;
}

Result<S3Deleted> parse_s3_deleted(std::string_view text) {
  TRY(const XmlElement root, document(text, "DeleteResult"));
  S3Deleted deleted;
  for (const XmlElement& element : root.children)
    if (element.name == "Error")
      deleted.failures.push_back({std::string(element.text_of("Key")), error_of(element)});
  return deleted;
}

std::string s3_delete_body(const std::vector<std::string>& keys) {
  std::string out = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const std::string& key : keys)
    out += fmt::format("<Object><Key>{}</Key></Object>", xml_escape(key));
  return out + "<Quiet>true</Quiet></Delete>";
}

Result<std::string> parse_s3_upload_id(std::string_view text) {
  TRY(const XmlElement root, document(text, "InitiateMultipartUploadResult"));
  const std::string_view id = root.text_of("UploadId");
  if (id.empty()) return corrupt("UploadId");
  return std::string(id);
}

Result<S3Error> parse_s3_completed(std::string_view text) {
  TRY(const XmlElement root, parse_xml(text));
  if (root.name == "CompleteMultipartUploadResult") return S3Error{};
  if (root.name != "Error") return corrupt("CompleteMultipartUploadResult");
  S3Error error = error_of(root);
  if (error.code.empty()) return corrupt("error code");
  return error;
}

std::string s3_complete_body(const std::vector<std::string>& etags,
                             const std::vector<std::string>& checksums) {
  std::string out = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (size_t index = 0; index < etags.size(); ++index) {
    out += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag>", index + 1,
                       xml_escape(etags[index]));
    if (!checksums[index].empty())
      out += fmt::format("<ChecksumCRC32C>{}</ChecksumCRC32C>", checksums[index]);
    out += "</Part>";
  }
  return out + "</CompleteMultipartUpload>";
}

Result<S3Uploads> parse_s3_uploads(std::string_view text) {
  TRY(const XmlElement root, document(text, "ListMultipartUploadsResult"));
  S3Uploads page;
  TRY(page.truncated, flag(root, "IsTruncated"));
  TRY(page.next_key, key_text(root, root.text_of("NextKeyMarker")));
  page.next_id = std::string(root.text_of("NextUploadIdMarker"));
  if (page.truncated && page.next_key.empty()) return corrupt("NextKeyMarker");
  for (const XmlElement& element : root.children) {
    if (element.name != "Upload") continue;
    S3Uploads::Upload upload;
    TRY(upload.key, key_text(root, element.text_of("Key")));
    upload.id = std::string(element.text_of("UploadId"));
    TRY(upload.started_ms, parse_iso_time(element.text_of("Initiated")));
    if (upload.key.empty() || upload.id.empty()) return corrupt("key or UploadId");
    page.uploads.push_back(std::move(upload));
  }
  return page;
}

Result<StsCredentials> parse_sts_credentials(std::string_view text) {
  TRY(const XmlElement root, parse_xml(text));
  const XmlElement* result = nullptr;
  for (const char* name : {"AssumeRoleResult", "AssumeRoleWithWebIdentityResult"})
    if (!result) result = root.child(name);
  const XmlElement* found = result ? result->child("Credentials") : nullptr;
  if (!found) return corrupt("credentials");
  StsCredentials credentials{std::string(found->text_of("AccessKeyId")),
                             std::string(found->text_of("SecretAccessKey")),
                             std::string(found->text_of("SessionToken")), 0};
  if (credentials.access_key.empty() || credentials.secret_key.empty())
    return corrupt("credentials");
  TRY(credentials.expires_ms, parse_iso_time(found->text_of("Expiration")));
  return credentials;
}

Result<int64_t> parse_iso_time(std::string_view text) {
  // "2026-11-26T20:41:00": digits at fixed places.
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd";
  bool fine = text.size() > kShape.size() && text.ends_with('Z');
  for (size_t i = 0; fine && i < kShape.size(); ++i)
    fine = kShape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == kShape[i];
  if (!fine) return corrupt("time");
  auto digits = [text](size_t from, size_t count) {
    return static_cast<int>(whole_number(text.substr(from, count)).value_or(0));
  };
  using namespace std::chrono;
  const year_month_day date(year(digits(0, 4)), month(static_cast<unsigned>(digits(5, 2))),
                            day(static_cast<unsigned>(digits(8, 2))));
  if (!date.ok() || digits(11, 2) > 23 || digits(14, 2) > 59 || digits(17, 2) > 60)
    return corrupt("time");
  const auto when =
      sys_days(date) + hours(digits(11, 2)) + minutes(digits(14, 2)) + seconds(digits(17, 2));
  return duration_cast<milliseconds>(when.time_since_epoch()).count();
}

Result<int64_t> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || !text.ends_with(" GMT")) return corrupt("date");
  const size_t month = kMonths.find(text.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return corrupt("date");
  return parse_iso_time(fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), month / 3 + 1,
                                    text.substr(5, 2), text.substr(17, 8)));
}

}  // namespace paceline::object
