// Data directories of other versions: the one before is read, a newer one is refused and kept.
#include <cstdlib>
#include <filesystem>
#include <future>

#include "rocksdb/db.h"
#include "support/rocks_harness.h"
#include "wal/table_checksum.h"
#include "wal/wal_keys.h"

namespace forebay {
namespace {

namespace fs = std::filesystem;

// FOREBAY_GOLDEN=write writes it anew: only when a format is added, under another name.
fs::path Golden() { return fs::path(__FILE__).parent_path() / "golden" / "data_directory_1"; }

const PartitionId kOrders{StreamId("orders"), 0};

absl::Status Write(WalStore& store, std::vector<WalWrite> writes) {
  std::promise<absl::Status> done;
  store.Write(std::move(writes), [&](const absl::Status& status) { done.set_value(status); });
  return done.get_future().get();
}

class WalVersions : public testing::Test {
 protected:
  absl::Status Open() { return harness_.Open(NodeId("a1"), Incarnation(77)); }
  WalStore& store() { return harness_.store(); }
  // What the golden directory was made of.
  absl::Status WriteContent() {
    absl::Status status = Write(store(), {OpenSegment{Key(1), Offset(0), "first snapshot"},
                                          AppendBlock{Key(1), Offset(0), MakeBlock(1)},
                                          AppendBlock{Key(1), Offset(2), MakeBlock(2, 3)}});
    status.Update(Write(store(), {RaiseFence{kOrders, Epoch(4)}}));
    status.Update(Write(store(), {TrimSegment{Key(1), Offset(2), "later snapshot"},
                                  OpenSegment{Key(4, 1), Offset(9), ""},
                                  AppendBlock{Key(4, 1), Offset(9), MakeBlock(3)}}));
    return status;
  }

  // Past the store.
  void WriteState(std::string_view key, const std::string& value) {
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* name : {"default", "blocks", "index", "state"})
      families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(
        rocksdb::DB::Open({}, harness_.options().directory + "/db", families, &handles, &db).ok());
    EXPECT_TRUE(db->Put({}, handles[3], rocksdb::Slice(key.data(), key.size()), value).ok());
    for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
    delete db;
  }

  RocksHarness harness_;
};

TEST_F(WalVersions, DirectoryOfFormat1IsReadAndGoesOn) {
  const std::string& directory = harness_.options().directory;
  if (std::getenv("FOREBAY_GOLDEN") != nullptr) {
    ASSERT_EQ(Open(), absl::OkStatus());
    ASSERT_EQ(WriteContent(), absl::OkStatus());
    harness_.Close();
    fs::remove_all(Golden());
    fs::copy(directory, Golden(), fs::copy_options::recursive);
    // Not needed, and full of this machine's name and paths.
    for (const auto& entry : fs::directory_iterator(Golden() / "db")) {
      const std::string name = entry.path().filename();
      if (name.starts_with("LOG") || name.starts_with("OPTIONS")) fs::remove(entry.path());
    }
    harness_.Wipe();
  }
  fs::copy(Golden(), directory, fs::copy_options::recursive);
  ASSERT_EQ(Open(), absl::OkStatus());
  EXPECT_EQ(store().marker(), (WalMarker{NodeId("a1"), Incarnation(77)}));
  const WalContent expected{
      {{Key(1), {Offset(2), Offset(5)}}, {Key(4, 1), {Offset(9), Offset(11)}}},
      {{kOrders, Epoch(4)}}};
  EXPECT_EQ(store().content_at_open().segments, expected.segments);
  EXPECT_EQ(store().content_at_open().fences, expected.fences);
  EXPECT_EQ(*store().ReadSnapshot(Key(1)), "later snapshot");
  const auto blocks = store().Read(Key(1), Offset(2), 1 << 20);
  ASSERT_TRUE(blocks.ok()) << blocks.status();
  ASSERT_EQ(blocks->size(), 1u);
  EXPECT_EQ((*blocks)[0].block.bytes(), MakeBlock(2, 3).bytes());
  EXPECT_EQ(Write(store(), {AppendBlock{Key(1), Offset(5), MakeBlock(4)}}), absl::OkStatus());
}

// Taken for damage, it would be moved aside and the node would start empty.
TEST_F(WalVersions, DirectoryOfANewerFormatIsRefusedAndKept) {
  ASSERT_EQ(Open(), absl::OkStatus());
  ASSERT_EQ(WriteContent(), absl::OkStatus());
  harness_.Close();
  WriteState("a", "a record from the future");  // sorts before the marker
  std::string marker = EncodeMarker({NodeId("a1"), Incarnation(77)});
  marker[3] = 2;
  WriteState(kMarkerKey, marker);
  for (int i = 0; i < 2; i++) {
    const absl::Status refused = Open();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_NE(std::string(refused.message()).find("the store has format 2, but this version"),
              std::string::npos)
        << refused;
  }
  EXPECT_FALSE(fs::exists(harness_.options().directory + "/DAMAGED"));
  EXPECT_FALSE(fs::exists(harness_.options().directory + "/db.damaged"));
}

// Tables of builds that had RocksDB compute it are checked by ours, and the other way round.
TEST(TableChecksum, IsTheOneOfRocksDb) {
  const auto rocks = rocksdb::GetFileChecksumGenCrc32cFactory();
  const auto ours = TableChecksumFactory();
  EXPECT_STREQ(ours->Name(), rocks->Name());
  for (const size_t size : {0, 1, 4096, 100'001}) {
    const auto theirs = rocks->CreateFileChecksumGenerator({});
    const auto own = ours->CreateFileChecksumGenerator({});
    const std::string bytes(size, static_cast<char>(size));
    for (rocksdb::FileChecksumGenerator* each : {theirs.get(), own.get()}) {
      each->Update("head", 4);
      each->Update(bytes.data(), bytes.size());
      each->Finalize();
    }
    EXPECT_EQ(own->GetChecksum(), theirs->GetChecksum()) << size;
    EXPECT_STREQ(own->Name(), theirs->Name());
  }
}

}  // namespace
}  // namespace forebay
