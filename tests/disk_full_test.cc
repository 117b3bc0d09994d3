// Whole nodes on small real file systems that fill up. Needs the right to mount; without it each
// test says that it is skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "buffer/node_assembly.h"
#include "forebay/errors.h"
#include "runtime/handover.h"
#include "runtime/random.h"
#include "runtime/real_clock.h"
#include "support/memory_sink.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kDiskMiB = 64;
constexpr uint64_t kReserveMiB = 16;  // 16 memtables, as options.h asks for
constexpr absl::Duration kLimit = absl::Seconds(60);

class DiskFullTest : public testing::Test {
 protected:
  DiskFullTest() {
    downstream_->fault = [this](const char*, const PartitionId&) {
      return sink_closed_ ? MemoryDownstream::Fault::kRefused : MemoryDownstream::Fault::kNone;
    };
    downstream_->poison = [this](const Event& event) {
      return event.id == absl::StrCat("e", poison_.load()) ? std::optional<std::string>("poison")
                                                           : std::nullopt;
    };
  }
  void SetUp() override {
    std::filesystem::create_directories(directory_);
    if (!Mount("probe")) GTEST_SKIP() << "cannot mount a tmpfs (" << why_not_ << "): needs root";
  }
  void TearDown() override {
    nodes_.clear();
    for (const std::string& path : mounted_) umount2(path.c_str(), MNT_DETACH);
    std::filesystem::remove_all(directory_);
  }

  // A file system of its own.
  bool Mount(const std::string& name) {
    const std::string path = directory_ / name;
    std::filesystem::create_directories(path);
    const std::string size = absl::StrCat("size=", kDiskMiB, "m");
    if (mount("none", path.c_str(), "tmpfs", 0, size.c_str()) != 0) {
      why_not_ = strerror(errno);
      return false;
    }
    mounted_.push_back(path);
    return true;
  }

  void Open(const std::string& name, int copies) {
    ASSERT_TRUE(Mount(name)) << why_not_;
    BufferOptions options;
    options.node = NodeId(name + "1");
    options.zone = ZoneId(name);
    options.data_directory = directory_ / name;
    options.metadata = absl::StrCat("sqlite:", (directory_ / "metadata.db").string());
    StreamOptions stream;
    stream.name = stream_;
    stream.partitions = partitions_;
    stream.copies = copies;
    stream.ack_copies = stream.ack_zones = copies > 1 ? 2 : 1;
    stream.codec = Codec::kNone;
    options.streams = {stream};
    SinkBinding sink;
    sink.name = SinkId("gated");
    sink.stream = stream_;
    sink.sink = std::make_shared<MemorySink>(downstream_);
    sink.keep_after_delivery = absl::ZeroDuration();
    options.sinks = {sink};
    options.batch.give_up_after = give_up_after_;
    options.disk.reserve_bytes = kReserveMiB * kMiB;
    options.memtable_bytes = 1 << 20;
    auto node = NodeAssembly::Open(options, [this](const absl::Status& status) {
      store_failed_ = true;
      ADD_FAILURE() << status;
    });
    ASSERT_TRUE(node.ok()) << node.status();
    nodes_[name] = *std::move(node);
  }

  AppendResult Append(const std::string& node, size_t bytes = 100 << 10) {
    Event event;
    event.id = absl::StrCat("e", ++events_);
    event.payload.assign(bytes, 'x');
    const auto appender = nodes_.at(node)->AppenderOf(stream_);
    EXPECT_TRUE(appender.ok()) << appender.status();
    AppendResult result = (*appender)->Append(event);
    if (result.outcome == Outcome::kAcknowledged) acknowledged_.push_back(event.id);
    return result;
  }
  // Appends until refused.
  AppendResult Fill(const std::string& node) {
    while (true) {
      AppendResult result = Append(node);
      if (result.outcome != Outcome::kAcknowledged) return result;
      if (acknowledged_.size() > 10 * kDiskMiB) return result;
    }
  }
  // As another program on the same disk does: that much is left.
  void PutBallast(const std::string& node, uint64_t free_mebibytes) {
    std::ofstream file(directory_ / node / "ballast");
    const std::string piece(256 << 10, 'b');
    while (FreeMiB(node) > free_mebibytes) file << piece << std::flush;
  }
  void TakeBallast(const std::string& node) {
    std::filesystem::remove(directory_ / node / "ballast");
  }

  bool IsFull(const std::string& node) {
    for (const NodeStatus& status : nodes_.begin()->second->Nodes()) {
      if (status.record.id == NodeId(node + "1")) return status.record.disk_full;
    }
    return false;
  }
  std::vector<PartitionStatus> Partitions(const std::string& node) {
    const auto answer = Handover<std::vector<PartitionStatus>>::Make();
    nodes_.at(node)->Status([answer](std::vector<PartitionStatus> partitions,
                                     std::vector<SinkState>) { answer->Give(partitions); });
    return answer->Take();
  }
  int Owned(const std::string& node) {
    int owned = 0;
    for (const PartitionStatus& status : Partitions(node)) owned += status.owned_here;
    return owned;
  }
  bool FullyReplicated() {
    int under_replicated = 0;
    for (const auto& [name, node] : nodes_) {
      for (const PartitionStatus& status : Partitions(name)) {
        under_replicated += status.under_replicated;
      }
    }
    return under_replicated == 0;
  }
  bool EachDeliveredOnce() {
    std::map<std::string, int> times;
    for (const Event& event : downstream_->WaitForEvents(0, absl::ZeroDuration())) {
      times[event.id]++;
    }
    for (const std::string& id : acknowledged_) {
      const auto found = times.find(id);
      if (found == times.end() || found->second != 1) return false;
    }
    return true;
  }
  template <typename Condition>
  ::testing::AssertionResult Becomes(Condition condition) {
    const absl::Time end = clock_.Now() + kLimit;
    while (!condition()) {
      if (clock_.Now() > end) {
        return ::testing::AssertionFailure() << "not within " << kLimit;
      }
      Handover<bool>::Make()->TakeWithin(clock_, absl::Milliseconds(20));
    }
    return ::testing::AssertionSuccess();
  }
  uint64_t FreeMiB(const std::string& node) {
    return MeasureDisk(directory_ / node)->free_bytes / kMiB;
  }

  const StreamId stream_{"web"};
  uint32_t partitions_ = 3;
  absl::Duration give_up_after_ = absl::Seconds(1);
  const std::filesystem::path directory_ =
      std::filesystem::path(testing::TempDir()) /
      absl::StrCat("forebay-disk-", ::getpid(), "-",
                   testing::UnitTest::GetInstance()->current_test_info()->name());
  RealClock clock_;
  std::vector<std::string> mounted_;
  std::string why_not_;
  std::shared_ptr<MemoryDownstream> downstream_ = std::make_shared<MemoryDownstream>();
  std::atomic<bool> sink_closed_{false};
  std::atomic<int> poison_{0};  // the number of an event that it can never take
  std::map<std::string, std::unique_ptr<NodeAssembly>> nodes_;
  std::atomic<bool> store_failed_{false};
  int events_ = 0;
  std::vector<std::string> acknowledged_;
};

TEST_F(DiskFullTest, RefusesAtTheLimitWithWhatToDoAndResumesWhenTheSinkIsBack) {  // G8, H19
  Open("a", 1);
  sink_closed_ = true;
  const AppendResult refused = Fill("a");
  EXPECT_EQ(refused.outcome, Outcome::kNotStored);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kResourceExhausted);
  const std::string message(refused.status.message());
  EXPECT_THAT(message, HasSubstr((directory_ / "a").string()));
  EXPECT_THAT(message, HasSubstr(" % full"));
  EXPECT_THAT(message, HasSubstr("disk.refuse_at_percent is 90"));
  EXPECT_TRUE(RetryAfter(refused.status).has_value());
  EXPECT_GE(FreeMiB("a"), kReserveMiB / 2);
  EXPECT_TRUE(IsFull("a"));
  sink_closed_ = false;
  EXPECT_TRUE(Becomes([&] { return !IsFull("a"); })) << FreeMiB("a") << " MiB are free";
  EXPECT_EQ(Append("a").status, absl::OkStatus());
  EXPECT_TRUE(Becomes([&] { return EachDeliveredOnce(); }));
}

TEST_F(DiskFullTest, LosesNothingWhenAllDisksFillAtOnce) {  // G1, G5
  for (const char* name : {"a", "b", "c"}) Open(name, 3);
  sink_closed_ = true;
  EXPECT_EQ(Fill("a").outcome, Outcome::kNotStored);
  // Still pressing, as producers do.
  for (int i = 0; i < 3; i++) Append("b");
  for (const char* name : {"a", "b", "c"}) EXPECT_GE(FreeMiB(name), kReserveMiB / 2) << name;
  EXPECT_FALSE(store_failed_);
  sink_closed_ = false;
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_TRUE(Becomes([&] { return !IsFull(name); })) << name;
  }
  EXPECT_EQ(Append("c").status, absl::OkStatus());
  EXPECT_TRUE(Becomes([&] { return EachDeliveredOnce(); }));
  EXPECT_TRUE(Becomes([&] { return FullyReplicated(); }));
}

TEST_F(DiskFullTest, HandsOverToNodesWithRoomAndIsBackWhenItHasRoomAgain) {  // design section 10
  give_up_after_ = absl::Seconds(30);  // nothing is refused here
  for (const char* name : {"a", "b", "c"}) Open(name, 3);
  ASSERT_EQ(Append("a").status, absl::OkStatus());
  ASSERT_TRUE(Becomes([&] { return Owned("a") + Owned("b") + Owned("c") >= 4; }));
  ASSERT_GT(Owned("b"), 0);
  PutBallast("b", kReserveMiB);
  EXPECT_TRUE(Becomes([&] { return IsFull("b") && Owned("b") == 0; }));
  const uint64_t before = FreeMiB("b");
  for (int i = 0; i < 50; i++) ASSERT_EQ(Append("b").status, absl::OkStatus());
  EXPECT_GE(FreeMiB("b") + 1, before);
  TakeBallast("b");
  EXPECT_TRUE(Becomes([&] { return !IsFull("b") && FullyReplicated(); }));
  EXPECT_TRUE(Becomes([&] { return EachDeliveredOnce(); }));
}

// The drain may not wait for a dead letter that waits for the space that only the drain can free.
TEST_F(DiskFullTest, TakesDeadLettersSoThatAPoisonEventDoesNotKeepTheDiskFull) {
  partitions_ = 1;  // behind the poison event nothing else can be freed
  Open("a", 1);
  sink_closed_ = true;
  poison_ = 5;
  EXPECT_EQ(Fill("a").outcome, Outcome::kNotStored);
  sink_closed_ = false;
  EXPECT_TRUE(Becomes([&] { return downstream_->skips() == 1 && !IsFull("a"); }));
  EXPECT_EQ(Append("a").status, absl::OkStatus());
}

}  // namespace
}  // namespace forebay
