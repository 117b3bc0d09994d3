// When a disk counts as full or slow, and what the protocol makes of it: DiskWatch, and the cores
// on a disk without room. Each test names the promise or hazard it holds up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "replication/core/owner.h"
#include "replication/core/placement.h"
#include "replication/core/replica.h"
#include "replication/disk_watch.h"
#include "support/protocol_fixture.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr uint64_t kMiB = 1 << 20;

class DiskWatchTest : public ::testing::Test {
 protected:
  // Of a disk of 1000 MiB.
  void Used(uint64_t mebibytes) { watch_.OnUsage({mebibytes * kMiB, (1000 - mebibytes) * kMiB}); }
  // The oldest write has waited for so long at the end of that time.
  void Wait(absl::Duration time, bool writing) {
    for (absl::Duration gone; gone < time; gone += absl::Milliseconds(20)) {
      now_ += absl::Milliseconds(20);
      waited_ = writing ? waited_ + absl::Milliseconds(20) : absl::ZeroDuration();
      watch_.OnTick(now_, waited_);
    }
  }

  absl::Time now_ = absl::UnixEpoch();
  absl::Duration waited_;
  DiskWatch watch_{
      {.refuse_at_percent = 90, .reserve_bytes = 40 * kMiB, .slow_after = absl::Seconds(1)},
      "/data/a1"};
};

TEST_F(DiskWatchTest, IsFullFromTheSettingOnAndHasRoomAgainTwoPointsBelow) {  // G8
  Used(899);
  EXPECT_FALSE(watch_.full());
  Used(900);
  EXPECT_TRUE(watch_.full());
  EXPECT_FALSE(watch_.on_reserve());
  Used(885);
  EXPECT_TRUE(watch_.full()) << "a level near the limit must not move partitions to and fro";
  Used(879);
  EXPECT_FALSE(watch_.full());
}

TEST_F(DiskWatchTest, IsFullAboveTheReserveSoThatWhatIsOnItsWayStillFits) {
  Used(955);  // 45 MiB are left, the reserve is 40
  EXPECT_TRUE(watch_.full());
  EXPECT_FALSE(watch_.on_reserve());
  Used(961);
  EXPECT_TRUE(watch_.on_reserve());
}

TEST_F(DiskWatchTest, CountsWhatWasWrittenSinceTheLastMeasurement) {  // the reserve is not overrun
  Used(890);
  watch_.OnBlocks(80 * kMiB);
  EXPECT_TRUE(watch_.on_reserve());
  // This may have been measured before they were written; the next one was not.
  Used(890);
  EXPECT_TRUE(watch_.on_reserve());
  Used(890);
  EXPECT_FALSE(watch_.on_reserve());
}

TEST_F(DiskWatchTest, StoresWhatWasTakenBeforeAMeasurementFoundTheDiskFull) {  // G2
  Used(840);
  watch_.OnBlocks(55 * kMiB);
  ASSERT_FALSE(watch_.full());
  Used(915);  // and the 55 may not be in it
  EXPECT_TRUE(watch_.full());
  EXPECT_FALSE(watch_.on_reserve());
  watch_.OnBlocks(1);
  EXPECT_TRUE(watch_.on_reserve());
}

TEST_F(DiskWatchTest, IsOnTheReserveFromTheStartOnADiskThatIsFull) {
  Used(961);
  EXPECT_TRUE(watch_.on_reserve());
}

TEST_F(DiskWatchTest, NamesTheDirectoryTheLevelAndTheSettings) {
  Used(912);
  EXPECT_EQ(watch_.Level(),
            "the disk of data_directory /data/a1 is 91.2 % full, 88 MiB free "
            "(disk.refuse_at_percent is 90, disk.reserve_bytes 40 MiB)");
}

TEST_F(DiskWatchTest, IsSlowOnceAWriteWaitsTooLongAndQuickAfterTenTimesAsLong) {  // H15
  Wait(absl::Milliseconds(900), true);
  EXPECT_FALSE(watch_.slow());
  Wait(absl::Milliseconds(200), true);
  EXPECT_TRUE(watch_.slow());
  Wait(absl::Seconds(9), false);
  EXPECT_TRUE(watch_.slow());
  Wait(absl::Seconds(2), false);
  EXPECT_FALSE(watch_.slow());
}

TEST_F(DiskWatchTest, DoesNotBlameTheDiskForAStandstillOfTheProcess) {  // H10
  Wait(absl::Milliseconds(100), true);
  now_ += absl::Seconds(30);  // SIGSTOP, SIGCONT
  watch_.OnTick(now_, absl::Seconds(30));
  Wait(absl::Milliseconds(500), true);
  EXPECT_FALSE(watch_.slow());
  waited_ = absl::Seconds(31);
  Wait(absl::Seconds(1), true);
  EXPECT_TRUE(watch_.slow());
}

class FullReplicaTest : public ::testing::Test {
 protected:
  MirrorReply Mirror(uint64_t first, std::vector<Block> blocks) {
    MirrorRequest request;
    request.segment = Key(1);
    request.incarnation = Incarnation(7);
    request.open_snapshot = "";
    request.first = Offset(first);
    request.blocks = std::move(blocks);
    Write(core_.OnMirror(owner_, request, out_));
    return Last<MirrorReply>();
  }
  CopyReply Copy(uint64_t first, std::vector<Block> blocks) {
    Write(core_.OnCopy(
        owner_,
        {Key(1), Incarnation(7), Epoch(2), 0, std::nullopt, Offset(first), std::move(blocks)},
        out_));
    return Last<CopyReply>();
  }
  void Write(ReplicaCore::Writes writes) {
    for (const WalWrite& write : writes) blocks_ += std::holds_alternative<AppendBlock>(write);
    if (!writes.empty()) core_.OnDurable(out_);
  }
  template <typename T>
  T Last() {
    const std::vector<T> sent = Sent<T>(out_, "owner");
    return sent.empty() ? T() : sent.back();
  }

  const NodeId owner_{"owner"};
  ReplicaCore core_{NodeId("a"), Incarnation(7), WalContent()};
  Outbox out_;
  int blocks_ = 0;  // written
};

TEST_F(FullReplicaTest, TakesNoBlocksAndSaysSoWithTheTailItHas) {  // G1, G8
  Mirror(0, {BlockOf(0)});
  core_.SetFull(true);
  const MirrorReply reply = Mirror(1, {BlockOf(1)});
  EXPECT_EQ(reply.answer, ReplicaAnswer::kFull);
  EXPECT_EQ(reply.tail, Offset(1));
  EXPECT_EQ(blocks_, 1);
  core_.SetFull(false);
  EXPECT_EQ(Mirror(1, {BlockOf(1)}).tail, Offset(2));
}

TEST_F(FullReplicaTest, StillConfirmsWhatItHas) {
  Mirror(0, {BlockOf(0)});
  core_.SetFull(true);
  const MirrorReply reply = Mirror(0, {BlockOf(0)});
  EXPECT_EQ(reply.answer, ReplicaAnswer::kHolds);
  EXPECT_EQ(reply.tail, Offset(1));
}

TEST_F(FullReplicaTest, IsFencedAndTrimmedAsEver) {  // the reserve is for this
  Mirror(0, {BlockOf(0), BlockOf(1)});
  core_.SetFull(true);
  EXPECT_THAT(core_.Trim(Key(1), Offset(0), Offset(1), ""), SizeIs(1));
  core_.OnDurable(out_);
  EXPECT_EQ(Copy(2, {}).extent.tail, Offset(2));
  EXPECT_EQ(core_.FenceOf(kPartition), Epoch(2));
}

TEST_F(FullReplicaTest, TakesNoCopiesEither) {
  Mirror(0, {BlockOf(0)});
  core_.SetFull(true);
  const CopyReply reply = Copy(1, {BlockOf(1)});
  EXPECT_EQ(reply.answer, ReplicaAnswer::kFull);
  EXPECT_EQ(reply.extent.tail, Offset(1));
  EXPECT_EQ(blocks_, 1);
}

TEST(FullReplica, IsCountedForWhatItHasAndAskedAgainLater) {  // G1
  absl::Time now = absl::UnixEpoch();
  OwnerOutput out;
  OwnerCore owner(kPartition, OpenSegmentOf(1, 0), ProducerTable(), {}, now);
  owner.Mirror(now, out);
  const auto answer = [&](const std::string& node, ReplicaAnswer kind, uint64_t tail) {
    owner.OnMirrorReply(NodeId(node), {Key(1), kind, Offset(tail), Offset(tail), {}}, now, out);
  };
  for (const char* node : {"a", "b", "c"}) answer(node, ReplicaAnswer::kHolds, 0);
  owner.Append(BlockOf(0), 1, now, out);
  owner.Append(BlockOf(1), 2, now, out);
  owner.Mirror(now, out);
  answer("a", ReplicaAnswer::kHolds, 2);
  out = OwnerOutput();
  answer("c", ReplicaAnswer::kFull, 1);
  EXPECT_EQ(owner.committed(), Offset(1));
  EXPECT_THAT(Sent<MirrorRequest>(out.outbox, "c"), IsEmpty());
  now += absl::Seconds(1);
  owner.OnTick(now, out);
  EXPECT_THAT(Sent<MirrorRequest>(out.outbox, "c"), IsEmpty()) << "it must not be hammered";
  now += absl::Seconds(5);
  owner.OnTick(now, out);
  EXPECT_THAT(Sent<MirrorRequest>(out.outbox, "c"), Not(IsEmpty()));
  answer("c", ReplicaAnswer::kHolds, 2);
  EXPECT_EQ(owner.committed(), Offset(2));
}

class PlaceSegmentTest : public ::testing::Test {
 protected:
  std::vector<std::string> PlacedBy(const std::string& owner) {
    std::vector<NodeRecord> live;
    for (const auto& [id, record] : nodes_) live.push_back(record);
    const auto placed =
        PlaceSegment(kPartition, stream_, nodes_.at(owner), live,
                     [this](const NodeRecord& node) { return leaving_.contains(node.id.value()); });
    std::vector<std::string> names;
    if (!placed.has_value()) return names;
    for (const Replica& replica : placed->replicas) names.push_back(replica.node.value());
    std::sort(names.begin(), names.end());
    return names;
  }
  using Names = std::vector<std::string>;

  StreamOptions stream_;
  std::set<std::string> leaving_;
  std::map<std::string, NodeRecord> nodes_{
      {"a", RecordOf("a")}, {"b", RecordOf("b")}, {"c", RecordOf("c")}, {"d", RecordOf("d")}};
};

TEST_F(PlaceSegmentTest, LeavesOutDisksWithoutRoom) {
  nodes_.at("b").disk_full = true;
  EXPECT_EQ(PlacedBy("a"), (Names{"a", "c", "d"}));
  nodes_.at("c").disk_full = true;
  EXPECT_EQ(PlacedBy("a"), (Names{"a", "d"}));
}

TEST_F(PlaceSegmentTest,
       TakesThemWhenTheOthersMayNotAcknowledge) {  // or nobody could own, nor drain
  for (const char* node : {"b", "c", "d"}) nodes_.at(node).disk_full = true;
  EXPECT_THAT(PlacedBy("a"), SizeIs(3));
  for (auto& [id, record] : nodes_) record.disk_full = true;
  EXPECT_THAT(PlacedBy("a"), SizeIs(3));
}

TEST_F(PlaceSegmentTest, DoesNotCountOnAnOwnerWithoutRoom) {
  nodes_.at("a").disk_full = true;
  EXPECT_EQ(PlacedBy("a").front(), "a");
  nodes_.at("b").disk_full = nodes_.at("c").disk_full = true;
  EXPECT_THAT(PlacedBy("a"), SizeIs(3));  // not just itself and d
}

TEST_F(PlaceSegmentTest, PrefersThoseThatLeaveToThoseWithoutRoom) {
  nodes_.at("b").disk_full = nodes_.at("c").disk_full = true;
  leaving_ = {"d"};
  EXPECT_EQ(PlacedBy("a"), (Names{"a", "d"}));
}

}  // namespace
}  // namespace forebay
