// Bits that flip in the files of an open RocksWalStore: found by the walk through its files, and
// written anew (G10, docs/decisions/0022-damaged-disks.md).
#include <filesystem>
#include <fstream>
#include <thread>

#include "support/rocks_harness.h"

namespace forebay {
namespace {

namespace fs = std::filesystem;

constexpr Incarnation kOld(1);
constexpr Incarnation kNew(2);
constexpr uint64_t kBlocks = 30;
constexpr size_t kPayload = 5000;

class WalScrubTest : public testing::Test {
 protected:
  // Half of the blocks are in table files, half in the log.
  void SetUp() override {
    Open(kOld);
    Write({OpenSegment{Key(), Offset(0), "snapshot"}});
    for (uint64_t first = 0; first < kBlocks; ++first) {
      if (first == kBlocks / 2) Restart(kOld);
      Write({AppendBlock{Key(), Offset(first), MakeBlock(first, 1, kPayload)}});
    }
  }
  void Open(Incarnation incarnation) {
    ASSERT_EQ(harness_.Open(NodeId("a"), incarnation), absl::OkStatus());
  }
  void Restart(Incarnation incarnation) {
    harness_.Close();
    Open(incarnation);
  }
  absl::Status TryWrite(std::vector<WalWrite> writes) {
    std::promise<absl::Status> done;
    harness_.store().Write(std::move(writes), [&](const absl::Status& s) { done.set_value(s); });
    return done.get_future().get();
  }
  void Write(std::vector<WalWrite> writes) {
    ASSERT_EQ(TryWrite(std::move(writes)), absl::OkStatus());
  }
  // Writes that were accepted before it began may still become durable.
  void ExpectItEnds() {
    absl::Status status;
    for (uint64_t fence = 1; fence < 100 && status.ok(); ++fence) {
      status = TryWrite({RaiseFence{Key().partition, Epoch(fence)}});
    }
    EXPECT_FALSE(status.ok());
  }
  // A whole pass through the files.
  FileCheck Check(size_t step_bytes = 4096) {
    FileCheck all;
    while (!all.pass_done) {
      const FileCheck step = harness_.store().CheckFiles(step_bytes);
      all.bytes += step.bytes;
      all.damaged += step.damaged;
      all.repaired += step.repaired;
      all.pass_done = step.pass_done;
      all.status.Update(step.status);
    }
    return all;
  }
  std::string File(const std::string& part) {
    for (const std::string& path : harness_.Files("")) {
      if (path.find(part) != std::string::npos && fs::file_size(path) > 0) found_ = path;
    }
    EXPECT_NE(found_, "") << part;
    return found_;
  }
  // The table that holds the block, and where in it.
  std::pair<std::string, size_t> PlaceOf(uint64_t first) {
    for (const std::string& path : harness_.Files(".sst")) {
      const size_t at =
          RocksHarness::Bytes(path).find(std::string(MakeBlock(first, 1, kPayload).bytes()));
      if (at != std::string::npos) return {path, at + kPayload / 2};
    }
    ADD_FAILURE() << "no table holds block " << first;
    return {};
  }
  // Blocks that can be read, of those that the store says it has.
  uint64_t Readable() {
    uint64_t readable = 0;
    for (uint64_t first = 0; first < kBlocks; ++first) {
      const auto read = harness_.store().Read(Key(), Offset(first), 0);
      if (!read.ok()) {
        EXPECT_TRUE(absl::IsDataLoss(read.status())) << read.status();
        continue;
      }
      EXPECT_EQ(read->front().block.bytes(), MakeBlock(first, 1, kPayload).bytes());
      ++readable;
    }
    return readable;
  }
  void ExpectWhole() {
    EXPECT_EQ(harness_.store().marker().incarnation, kOld);
    EXPECT_EQ(Readable(), kBlocks);
    const FileCheck again = Check();
    EXPECT_EQ(again.damaged, 0u);
    EXPECT_EQ(again.status, absl::OkStatus());
    Restart(kNew);
    EXPECT_EQ(harness_.store().marker().incarnation, kOld);
    EXPECT_EQ(Readable(), kBlocks);
  }
  // The store has ended itself, and is as it should be after the next opening.
  void ExpectMadeAnew(uint64_t readable) {
    ExpectItEnds();
    EXPECT_FALSE(harness_.store().CheckFiles(1).status.ok());
    Restart(kNew);
    EXPECT_EQ(harness_.store().marker().incarnation, kOld);
    EXPECT_EQ(harness_.store().content_at_open().segments.at(Key()),
              (SegmentExtent{Offset(0), Offset(kBlocks)}));
    EXPECT_EQ(*harness_.store().ReadSnapshot(Key()), "snapshot");
    EXPECT_EQ(Readable(), readable);
    EXPECT_EQ(Check().damaged, 0u);
    Write({AppendBlock{Key(), Offset(kBlocks), MakeBlock(kBlocks)}});
    Restart(kNew);
    EXPECT_EQ(harness_.store().marker().incarnation, kOld);
  }

  RocksHarness harness_;
  std::string found_;
};

TEST_F(WalScrubTest, ReadsEverythingInStepsAndFindsNothingWrongInAHealthyStore) {
  const FileCheck check = Check();
  EXPECT_EQ(check.damaged, 0u);
  EXPECT_EQ(check.status, absl::OkStatus());
  uint64_t stored = 0;
  for (const std::string& path : harness_.Files(".sst")) stored += fs::file_size(path);
  EXPECT_GT(check.bytes, stored);
  EXPECT_LT(harness_.store().CheckFiles(1).bytes, stored);
}

TEST_F(WalScrubTest, AFlippedBitInTheLogIsMendedByWritingItToTables) {
  const std::string log = harness_.Files(".log").back();
  RocksHarness::Flip(log, fs::file_size(log) / 2);
  const FileCheck check = Check();
  EXPECT_EQ(check.damaged, 1u);
  EXPECT_EQ(check.repaired, 1u);
  ExpectWhole();
}

TEST_F(WalScrubTest, ALogThatIsNoLongerNeededIsNoDamageWhileItIsStillThere) {
  const std::string log = harness_.Files(".log").back();
  RocksHarness::Flip(log, fs::file_size(log) / 2);
  const std::string bytes = RocksHarness::Bytes(log);
  EXPECT_EQ(Check().repaired, 1u);
  while (fs::exists(log)) std::this_thread::yield();  // RocksDB deletes it on a thread of its own
  std::ofstream(log) << bytes;                        // as if its deletion took its time
  EXPECT_EQ(Check().damaged, 0u);
  fs::remove(log);
  ExpectWhole();
}

TEST_F(WalScrubTest, SmallFilesAreWrittenAnewFromMemory) {
  for (const char* name : {"/CURRENT", "/IDENTITY", "/OPTIONS"}) {
    SCOPED_TRACE(name);
    RocksHarness::Flip(File(name), 3);
    const FileCheck check = Check();
    EXPECT_EQ(check.damaged, 1u);
    EXPECT_EQ(check.repaired, 1u);
    ExpectWhole();
  }
}

TEST_F(WalScrubTest, ADamagedSyncMarkIsWrittenAnew) {
  RocksHarness::Flip(harness_.options().directory + "/SYNCED", 5);
  EXPECT_EQ(Check().damaged, 1u);
  // After the mark, on the same thread; as it changes nothing, it writes no mark itself.
  Write({DropSegment{Key(9)}});
  EXPECT_EQ(Check().repaired, 1u);
  ExpectWhole();
}

TEST_F(WalScrubTest, ADamagedSyncMarkIsFoundByTheNextOpening) {
  harness_.Close();
  RocksHarness::Flip(harness_.options().directory + "/SYNCED", 5);
  Open(kNew);
  const FileCheck check = Check();
  EXPECT_EQ(check.damaged, 1u);
  EXPECT_EQ(check.repaired, 1u);
  ExpectWhole();
}

TEST_F(WalScrubTest, ADamagedIdentityIsWrittenAnewByTheNextOpening) {
  const std::string path = File("/IDENTITY");
  const std::string before = RocksHarness::Bytes(path);
  harness_.Close();
  RocksHarness::Flip(path, 3);
  Open(kNew);
  EXPECT_EQ(RocksHarness::Bytes(path), before);
  ExpectWhole();
}

TEST_F(WalScrubTest, AStoreWithADamagedManifestIsMadeAnewWithAllItHeld) {
  RocksHarness::Flip(File("MANIFEST"), 40);
  EXPECT_EQ(Check().damaged, 1u);
  ExpectMadeAnew(kBlocks);
}

TEST_F(WalScrubTest, AStoreWithADamagedTableIsMadeAnewWithAllThatCanBeRead) {
  const auto [path, at] = PlaceOf(3);
  RocksHarness::Flip(path, at);
  EXPECT_EQ(Check().damaged, 1u);
  // Two blocks may share a block of the table.
  ExpectItEnds();
  Restart(kNew);
  const uint64_t readable = Readable();
  EXPECT_LT(readable, kBlocks);
  EXPECT_GE(readable, kBlocks - 4);
  std::vector<WalWrite> restores;
  for (uint64_t first = 0; first < kBlocks; ++first) {
    restores.push_back(RestoreBlock{Key(), Offset(first), MakeBlock(first, 1, kPayload)});
  }
  Write(std::move(restores));
  ExpectWhole();
}

TEST_F(WalScrubTest, ABlockThatWasRestoredStaysWhenTheStoreIsMadeAnew) {
  const auto [path, at] = PlaceOf(3);
  RocksHarness::Flip(path, at);
  std::vector<WalWrite> restores;
  for (uint64_t first = 0; first < kBlocks; ++first) {
    restores.push_back(RestoreBlock{Key(), Offset(first), MakeBlock(first, 1, kPayload)});
  }
  Write(std::move(restores));
  EXPECT_EQ(Readable(), kBlocks);
  EXPECT_EQ(Check().damaged, 1u) << "the table is still there";
  ExpectMadeAnew(kBlocks);
}

TEST_F(WalScrubTest, WritesThatNeverPauseDoNotKeepAStoreFromBeingMadeAnew) {
  std::promise<uint64_t> ended;
  std::function<void(uint64_t)> write_on = [&](uint64_t fence) {
    harness_.store().Write({RaiseFence{Key().partition, Epoch(fence)}},
                           [&, fence](const absl::Status& status) {
                             if (status.ok() && fence < 5000) return write_on(fence + 1);
                             ended.set_value(fence);
                           });
  };
  write_on(1);
  RocksHarness::Flip(File("MANIFEST"), 40);
  EXPECT_EQ(Check().damaged, 1u);
  EXPECT_LT(ended.get_future().get(), 5000u) << "it did not end itself";
  ExpectMadeAnew(kBlocks);
}

// Such a store ended itself before it was made anew, and so again after every start.
TEST_F(WalScrubTest, AStoreWhoseCompactionMeetsADamagedTableIsMadeAnewBeforeItEnds) {
  const auto [path, at] = PlaceOf(3);
  RocksHarness::Flip(path, at);
  // Each opening makes a table of what is in the log; four that overlap are compacted.
  for (int table = 2; table <= 4; ++table) {
    std::vector<WalWrite> restores;
    for (uint64_t first = 0; first < kBlocks; ++first) {
      restores.push_back(RestoreBlock{Key(), Offset(first), MakeBlock(first, 1, kPayload)});
    }
    Write(std::move(restores));
    Restart(kNew);
  }
  // The walk itself reads nothing.
  absl::Status status;
  while (status.ok()) status = harness_.store().CheckFiles(0).status;
  EXPECT_TRUE(fs::exists(harness_.options().directory + "/REBUILT")) << status;
  ExpectMadeAnew(kBlocks);
}

TEST_F(WalScrubTest, AnyFlippedBitInATableIsFoundAndEndsInAStoreThatIsHonest) {
  harness_.Close();
  const std::string whole = harness_.options().directory + ".whole";
  fs::copy(harness_.options().directory, whole, fs::copy_options::recursive);
  for (const std::string& table : harness_.Files(".sst")) {
    for (int i = 0; i < 6; ++i) {
      SCOPED_TRACE(table + " " + std::to_string(i));
      harness_.Close();
      fs::remove_all(harness_.options().directory);
      fs::copy(whole, harness_.options().directory, fs::copy_options::recursive);
      Open(kNew);
      ASSERT_EQ(harness_.store().marker().incarnation, kOld);
      if (!fs::exists(table)) continue;
      RocksHarness::Flip(table, fs::file_size(table) * i / 6);
      EXPECT_EQ(Check().damaged, 1u);
      ExpectItEnds();
      Restart(kNew);
      if (harness_.store().marker().incarnation == kOld) {
        EXPECT_EQ(harness_.store().content_at_open().segments.at(Key()),
                  (SegmentExtent{Offset(0), Offset(kBlocks)}));
        Readable();
      }
      EXPECT_EQ(Check().damaged, 0u);
    }
  }
}

TEST_F(WalScrubTest, ANewStoreThatIsNotCompleteIsNotTaken) {
  const std::string directory = harness_.options().directory;
  harness_.Close();
  fs::create_directory(directory + "/db.rebuilt");
  std::ofstream(directory + "/db.rebuilt/000001.sst") << "half";
  Open(kNew);
  EXPECT_FALSE(fs::exists(directory + "/db.rebuilt"));
  ExpectWhole();
}

TEST_F(WalScrubTest, TheOldStoreIsKeptForPeopleToLookAt) {
  RocksHarness::Flip(File("MANIFEST"), 40);
  Check();
  ExpectItEnds();
  Restart(kNew);
  EXPECT_TRUE(fs::exists(harness_.options().directory + "/db.damaged/CURRENT"));
  EXPECT_FALSE(fs::exists(harness_.options().directory + "/REBUILT"));
}

}  // namespace
}  // namespace forebay
