#include "page/escape.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace paceline::page {
namespace {

TEST(Escape, NothingOfATextIsMarkup) {
  EXPECT_EQ(html("<a href='x'>\"&</a>"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&lt;/a&gt;");
  EXPECT_EQ(html("≤ 5 s – größer\n\tnext"), "≤ 5 s – größer\n\tnext");
  EXPECT_EQ(html(std::string_view("a\0b\x1b\x7f", 5)),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Escape, JsonInAScriptStaysJsonAndEndsNoScript) {
  const nlohmann::json value = "</script><!-- & \xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa";
  const std::string escaped = script_json(value.dump());
  for (const char* word : {"<", ">", "&", "\xe2\x80\xa8", "\xe2\x80\xa9"})
    EXPECT_EQ(escaped.find(word), std::string::npos) << word;
  EXPECT_EQ(nlohmann::json::parse(escaped), value);
  EXPECT_EQ(script_json("\xe2\x80"), "\xe2\x80") << "cut within a character";
}

}  // namespace
}  // namespace paceline::page
