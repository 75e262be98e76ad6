#include "page/words.h"

#include <gtest/gtest.h>

namespace paceline::page {
namespace {

TEST(Words, TimesHaveTheUnitThatReadsBest) {
  EXPECT_EQ(ms_words(0), "0 ms");
  EXPECT_EQ(ms_words(0.4125), "0.412 ms");
  EXPECT_EQ(ms_words(9.5), "9.5 ms");
  EXPECT_EQ(ms_words(412.34), "412.3 ms");
  EXPECT_EQ(ms_words(4182.5), "4.183 s");
  EXPECT_EQ(ms_words(1'234'567), "1,234.567 s");
  EXPECT_EQ(ms_words(-1500), "-1.500 s");
  EXPECT_EQ(ms_words(std::nullopt), "–");
  EXPECT_EQ(ms_cell(12345.678), "12,345.7");
  EXPECT_EQ(ms_cell(-999.96), "-1,000.0");
}

TEST(Words, CountsAreGroupedAndNamesAreNot) {
  EXPECT_EQ(count_words(182466), "182,466");
  EXPECT_EQ(count_words(-1234.5), "-1,234.5");
  EXPECT_EQ(count_words(-0.0001), "0");
  EXPECT_EQ(count_words(1e300), "1e+300");
  EXPECT_EQ(id_words(90210), "90210");
  EXPECT_EQ(bytes_words(1023), "1,023 B");
  EXPECT_EQ(bytes_words(8388608), "8.0 MiB");
}

TEST(Words, AValueIsWrittenByItsUnit) {
  EXPECT_EQ(value_words(1500, "ms"), "1.500 s");
  EXPECT_EQ(value_words(2, "s"), "2.000 s");
  EXPECT_EQ(value_words(2048, "bytes"), "2.0 KiB");
  EXPECT_EQ(value_words(14, "of 14"), "14 of 14");
  EXPECT_EQ(value_words("exact", ""), "exact");
  EXPECT_EQ(value_words(true, ""), "yes");
  EXPECT_EQ(value_words(nullptr, "ms"), "–");
  EXPECT_EQ(name_words("unplanned_p99_ms"), "unplanned p99");
}

TEST(Words, LimitsAndSentencesAreForAPageWithSignsAndColours) {
  EXPECT_EQ(limit_words("<= 5 s, >= 3"), "≤ 5 s, ≥ 3");
  EXPECT_EQ(limit_words(12), "12");
  EXPECT_EQ(limit_words(nullptr), "");
  EXPECT_EQ(verdict_sentence({{"verdict", "red"}, {"sentence", "RED: 1 lost"}}), "1 lost");
  EXPECT_EQ(verdict_sentence({{"verdict", "red"}, {"sentence", "GREEN: 1 lost"}}), "GREEN: 1 lost");
  EXPECT_EQ(verdict_sentence({{"verdict", "red"}, {"sentence", "Red"}}), "Red");
}

TEST(Words, AStateIsAColourAShapeAndAWord) {
  for (const auto& [state, word] :
       {std::pair("green", "Green"), {"amber", "Amber"}, {"red", "Red"}, {"grey", "Grey"}}) {
    const std::string mark = state_mark(state);
    EXPECT_NE(mark.find(fmt::format("class=\"state {}\"", state)), std::string::npos);
    EXPECT_NE(mark.find(fmt::format("#shape-{}", state)), std::string::npos);
    EXPECT_NE(mark.find(fmt::format(">{}<", word)), std::string::npos);
    EXPECT_NE(state_dot(state).find(fmt::format("class=\"unseen\">{}<", word)), std::string::npos);
  }
}

}  // namespace
}  // namespace paceline::page
