// What is text, wherever in it the bytes stand that are not ASCII.
#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

#include "base/printable.h"

namespace forebay {
namespace {

// Before, among and behind ASCII, at every place in a word.
void ExpectAnywhere(const std::string& sequence, bool well_formed) {
  for (size_t before = 0; before < 20; before++) {
    for (size_t after = 0; after < 20; after++) {
      const std::string text = std::string(before, 'a') + sequence + std::string(after, 'z');
      EXPECT_EQ(IsUtf8(text), well_formed) << before << " before, " << after << " after";
    }
  }
}

TEST(Utf8, HoldsEveryLengthOfSequenceAnywhere) {
  for (const char* sequence : {"", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                               "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    ExpectAnywhere(sequence, true);
  }
  ExpectAnywhere(std::string(1, '\0'), true);
}

TEST(Utf8, RefusesWhatIsOverlongCutOrBeyondUnicode) {
  for (const char* sequence :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    ExpectAnywhere(sequence, false);
  }
}

TEST(Utf8, IsMadeOfAnythingByLeavingOutWhatIsNot) {
  EXPECT_EQ(ToUtf8("caf\u00e9 \U0001F30A"), "caf\u00e9 \U0001F30A");
  EXPECT_EQ(ToUtf8("\xFFz\xC3\u00e9\xE2\x82"), "\uFFFDz\uFFFD\u00e9\uFFFD\uFFFD");
}

TEST(Printable, DoesNothingToATerminal) {
  EXPECT_EQ(Printable("caf\u00e9 'x' \\ \U0001F30A"), "caf\u00e9 'x' \\ \U0001F30A");
  EXPECT_EQ(Printable("\x1B[2J\n0 dead letters\r\t\x7F"), R"(\x1b[2J\n0 dead letters\r\t\x7f)");
  EXPECT_EQ(Printable("\u009B\u0080\u00A0"), "\\x9b\\x80\u00A0");
  EXPECT_EQ(Printable("a\xFF\u00e9"), R"(a\xff\xc3\xa9)");
  EXPECT_EQ(Printable("a\xC2"), R"(a\xc2)");
}

}  // namespace
}  // namespace forebay
