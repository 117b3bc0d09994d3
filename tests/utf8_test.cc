// What is text, wherever in it the bytes stand that are not ASCII.
#include "block/utf8.h"

#include <gtest/gtest.h>

#include <string>

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

}  // namespace
}  // namespace forebay
