#include "broker/topic_names.h"

namespace paceline::broker {
namespace {

constexpr size_t kNameBytesMax = 249;

bool legal(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}
std::string folded(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '.', '_');
  return text;
}

}  // namespace

std::string topic_name_problem(std::string_view name) {
  if (name.empty()) return "the topic name is empty";
  if (name == "." || name == "..") return "a topic cannot be named '.' or '..'";
  if (name.size() > kNameBytesMax)
    return fmt::format("the topic name has {} characters, at most {} are allowed", name.size(),
                       kNameBytesMax);
  if (!std::all_of(name.begin(), name.end(), legal))
    return "the topic name has characters other than letters, digits, '.', '_' and '-'";
  return "";
}

bool valid_topic_name(std::string_view name) {
  return topic_name_problem(name).empty();
}

const cluster::TopicImage* colliding_topic(std::string_view name, const cluster::Image& image) {
  if (name.find_first_of("._") == std::string_view::npos) return nullptr;
  const std::string wanted = folded(name);
  for (const auto& [other, topic] : image.topics) {
    if (other != name && other.size() == name.size() && folded(other) == wanted) return topic.get();
  }
  return nullptr;
}

}  // namespace paceline::broker
