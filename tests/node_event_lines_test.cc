#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/event_lines.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

TEST(EventLines, NumbersBadLinesAndGoesOn) {
  std::istringstream in("{\"payload\":1}\n\n{bad\n{\"payload\":2}\r\n");
  EventLines lines(in);
  absl::StatusOr<Event> event;
  ASSERT_TRUE(lines.Next(event));
  EXPECT_EQ(event->payload, "1");
  ASSERT_TRUE(lines.Next(event));
  EXPECT_THAT(std::string(event.status().message()), HasSubstr("line 3: "));
  ASSERT_TRUE(lines.Next(event));
  EXPECT_EQ(event->payload, "2");
  EXPECT_EQ(lines.line(), 4u);
  EXPECT_FALSE(lines.Next(event));
}

TEST(EventLines, RefusesAnEventOverALimit) {
  std::istringstream in("{\"payload\":1,\"key\":\"" + std::string(2000, 'k') + "\"}\n");
  EventLines lines(in);
  absl::StatusOr<Event> event;
  ASSERT_TRUE(lines.Next(event));
  EXPECT_EQ(event.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(event.status().message()), HasSubstr("line 1: "));
  EXPECT_THAT(std::string(event.status().message()), HasSubstr("1024"));
}

}  // namespace
}  // namespace forebay
