// Damage to any file of a RocksWalStore: opening is never "clean, with data silently missing"
// (H3 and H17, G10).
#include <filesystem>
#include <fstream>
#include <sstream>

#include "support/rocks_harness.h"

namespace forebay {
namespace {

namespace fs = std::filesystem;
using Unsynced = FaultyFileSystem::Unsynced;

constexpr Incarnation kOld(1);
constexpr Incarnation kNew(2);
constexpr uint64_t kBlocks = 30;
constexpr size_t kPayload = 5000;

// A record, or the part of one that is in a block of the log (RocksDB's log_format.h: checksum 4,
// length 2, type 1 byte; blocks of 32 KiB).
struct RecordPlace {
  size_t at;
  size_t bytes;
};
std::vector<RecordPlace> RecordsOf(const std::string& log) {
  constexpr size_t kBlock = 32 << 10, kHeader = 7;
  std::ostringstream read;
  read << std::ifstream(log, std::ios::binary).rdbuf();
  const std::string bytes = read.str();
  std::vector<RecordPlace> out;
  for (size_t at = 0; at + kHeader <= bytes.size();) {
    const size_t left = kBlock - at % kBlock;
    if (left < kHeader) {
      at += left;
      continue;
    }
    const size_t length = static_cast<uint8_t>(bytes[at + 4]) | static_cast<uint8_t>(bytes[at + 5])
                                                                    << 8;
    out.push_back({at, kHeader + length});
    at += kHeader + length;
  }
  return out;
}

class WalCorruption : public testing::Test {
 protected:
  // Blocks 0 to kBlocks of one event each; ends with all of them in table files and the log empty,
  // or with the second half in the log.
  void Fill(bool half_in_log) {
    Open(kOld);
    Write({OpenSegment{Key(), Offset(0), "snapshot"}});
    for (uint64_t first = 0; first < kBlocks; ++first) {
      if (half_in_log && first == kBlocks / 2) Restart();
      Write({AppendBlock{Key(), Offset(first), MakeBlock(first, 1, kPayload)}});
    }
    if (!half_in_log) Restart();
    harness_.Close();
    whole_ = harness_.options().directory + ".whole";
    fs::copy(harness_.options().directory, whole_, fs::copy_options::recursive);
  }
  void Restart() {
    harness_.Close();
    Open(kOld);
  }
  void Open(Incarnation incarnation) {
    ASSERT_EQ(harness_.Open(NodeId("a"), incarnation), absl::OkStatus());
  }
  void Write(std::vector<WalWrite> writes) {
    std::promise<absl::Status> done;
    harness_.store().Write(std::move(writes), [&](const absl::Status& s) { done.set_value(s); });
    ASSERT_EQ(done.get_future().get(), absl::OkStatus());
  }
  // The files as Fill left them.
  void Restore() {
    harness_.Close();
    fs::remove_all(harness_.options().directory);
    fs::copy(whole_, harness_.options().directory, fs::copy_options::recursive);
  }

  // Opens, and checks that nothing is missing without being said. True when it is under the old
  // incarnation.
  bool OpensHonestly() {
    Open(kNew);
    const bool is_old = harness_.store().marker().incarnation == kOld;
    const auto& segments = harness_.store().content_at_open().segments;
    if (is_old) {
      EXPECT_TRUE(segments.contains(Key()));
      if (!segments.contains(Key())) return is_old;
      EXPECT_EQ(segments.at(Key()), (SegmentExtent{Offset(0), Offset(kBlocks)}));
    }
    for (uint64_t first = 0; first < kBlocks; ++first) {
      const auto read = harness_.store().Read(Key(), Offset(first), 0);
      if (read.ok()) {
        EXPECT_EQ(read->front().block.bytes(), MakeBlock(first, 1, kPayload).bytes());
      } else if (is_old) {
        EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss) << read.status();
      }
    }
    const auto snapshot = harness_.store().ReadSnapshot(Key());
    if (is_old) {
      EXPECT_TRUE(snapshot.ok() || absl::IsDataLoss(snapshot.status())) << snapshot.status();
    }
    return is_old;
  }
  // Flips a bit at so many places of the file.
  void FlipEverywhere(const std::string& ending, int places, bool may_be_old) {
    for (const std::string& path : harness_.Files(ending)) {
      Restore();
      const size_t size = fs::file_size(path);
      for (int i = 0; i < places && size > 0; ++i) {
        SCOPED_TRACE(path + " at " + std::to_string(i * size / places));
        Restore();
        RocksHarness::Flip(path, i * size / places);
        if (!may_be_old) {
          EXPECT_FALSE(OpensHonestly());
        } else {
          OpensHonestly();
        }
      }
    }
  }

  RocksHarness harness_;
  std::string whole_;
};

TEST_F(WalCorruption, FlippedBitInTheLogIsNeverACleanOpening) {
  Fill(/*half_in_log=*/true);
  // After a power cut the sync mark may be missing: the log must be judged by itself.
  fs::remove(whole_ + "/SYNCED");
  FlipEverywhere(".log", 25, /*may_be_old=*/false);
}

// RocksDB passes over zeros up to the end of a block of the log, and over what comes after them.
TEST_F(WalCorruption, ZerosInTheLogBeforeMoreRecordsAreNeverACleanOpening) {
  Fill(/*half_in_log=*/true);
  fs::remove(whole_ + "/SYNCED");
  const std::string log = harness_.Files(".log").back();
  const std::vector<RecordPlace> records = RecordsOf(log);
  ASSERT_GT(records.size(), 2u);
  for (size_t i = 0; i + 1 < records.size(); ++i) {
    SCOPED_TRACE(records[i].at);
    Restore();
    std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(records[i].at));
    file << std::string(records[i].bytes, '\0');
    file.close();
    EXPECT_FALSE(OpensHonestly());
  }
}

TEST_F(WalCorruption, FlippedBitInATableFileIsSaidOrHarmless) {
  Fill(/*half_in_log=*/false);
  FlipEverywhere(".sst", 12, /*may_be_old=*/true);
}

TEST_F(WalCorruption, FlippedBitInTheManifestIsSaidOrHarmless) {
  Fill(/*half_in_log=*/true);
  for (const std::string& path : harness_.Files("")) {
    if (path.find("MANIFEST") == std::string::npos) continue;
    FlipEverywhere(path.substr(path.rfind('/')), 30, /*may_be_old=*/true);
  }
}

TEST_F(WalCorruption, MissingFileIsSaidOrHarmless) {
  for (const bool half_in_log : {true, false}) {
    if (half_in_log) Fill(true);
    for (const std::string& path : harness_.Files("")) {
      SCOPED_TRACE(path);
      Restore();
      fs::remove(path);
      OpensHonestly();
    }
    if (half_in_log) {
      harness_.Close();
      harness_.Wipe();
      fs::remove_all(whole_);
      Fill(false);
    }
  }
}

TEST_F(WalCorruption, TruncatedFileIsSaidOrHarmless) {
  Fill(/*half_in_log=*/true);
  for (const std::string& path : harness_.Files("")) {
    for (const int left_percent : {0, 50, 99}) {
      SCOPED_TRACE(path);
      Restore();
      fs::resize_file(path, fs::file_size(path) * left_percent / 100);
      OpensHonestly();
    }
  }
}

// The log alone cannot tell this from a write that the power cut short; the sync mark does.
TEST_F(WalCorruption, LogThatEndsBeforeWhatWasSyncedIsDamage) {
  Fill(/*half_in_log=*/true);
  for (const size_t cut : {1, 3000, 12'000}) {
    Restore();
    const std::string log = harness_.Files(".log").back();
    fs::resize_file(log, fs::file_size(log) - cut);
    EXPECT_FALSE(OpensHonestly());
  }
}

TEST_F(WalCorruption, DamageIsNotForgottenWhenTheFirstOpeningIsCutShort) {
  Fill(/*half_in_log=*/true);
  const std::string log = harness_.Files(".log").back();
  for (int n = 1; n < 60; n += 3) {
    SCOPED_TRACE(n);
    Restore();
    RocksHarness::Flip(log, fs::file_size(log) / 2);
    harness_.files().FailChange(n, /*all=*/true);
    const bool opened = harness_.Open(NodeId("a"), kNew).ok();
    if (opened) harness_.Close();
    harness_.files().CutPower();
    harness_.files().Heal();
    harness_.files().PowerOn(Unsynced::kGone);
    Open(Incarnation(3));
    EXPECT_NE(harness_.store().marker().incarnation, kOld);
  }
}

TEST_F(WalCorruption, StoreThatCannotBeOpenedIsKeptForPeopleToLookAt) {
  Fill(/*half_in_log=*/false);
  for (const std::string& path : harness_.Files("")) {
    if (path.find("MANIFEST") != std::string::npos) fs::remove(path);
  }
  Open(kNew);
  EXPECT_EQ(harness_.store().marker().incarnation, kNew);
  EXPECT_TRUE(harness_.store().content_at_open().segments.empty());
  EXPECT_TRUE(fs::exists(harness_.options().directory + "/db.damaged"));
  Write({OpenSegment{Key(), Offset(0), ""}});
}

}  // namespace
}  // namespace forebay
