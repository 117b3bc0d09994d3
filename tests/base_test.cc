#include <gtest/gtest.h>

#include <string>

#include "base/checksum.h"
#include "base/status.h"
#include "forebay/errors.h"
#include "forebay/options.h"

namespace forebay {
namespace {

// RFC 3720, appendix B.4.
TEST(Checksum, MatchesTheVectorsOfTheRfc) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
}

TEST(Checksum, OfTwoPartsIsThatOfTheWhole) {
  const std::string text = "the river as it comes";
  for (size_t cut = 0; cut <= text.size(); cut++) {
    EXPECT_EQ(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))), Crc32c(text));
  }
}

TEST(Errors, CarryTheWaitTheyAskForThroughAddedContext) {
  const absl::Status status =
      WithRetryAfter(absl::ResourceExhaustedError("window full"), absl::Milliseconds(50));
  const absl::Status outer = WithContext(status, "append to ", "web/3");
  EXPECT_EQ(outer.message(), "append to web/3: window full");
  EXPECT_EQ(RetryAfter(outer), absl::Milliseconds(50));
  EXPECT_EQ(RetryAfter(absl::OkStatus()), std::nullopt);
}

TEST(Options, NameTheSettingTheValueAndTheLimit) {
  StreamOptions stream{.name = StreamId("web"), .copies = 3, .ack_copies = 4};
  EXPECT_EQ(stream.Validate().message(),
            "stream 'web': ack_copies is 4, but it must be 1 to copies (3)");
  stream.ack_copies = 2;
  EXPECT_TRUE(stream.Validate().ok());
}

}  // namespace
}  // namespace forebay
