// WalScrub: walks through the files of an open RocksWalStore and looks for bytes that are not what
// was written: log files, tables, the manifest, the small files beside them. What it finds is
// written again where memory has it (docs/decisions/0022-damaged-disks.md).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_checksum.h"
#include "rocksdb/file_system.h"
#include "wal/wal_directory.h"
#include "wal/wal_loader.h"

namespace forebay {

// Confined to the caller of WalStore::CheckFiles.
class WalScrub {
 public:
  struct Found {
    uint64_t bytes = 0;
    bool pass_done = false;
    uint64_t damaged = 0;
    uint64_t repaired = 0;
    bool mark_damaged = false;  // the sync mark: to be written again by who writes it
    std::string rebuild;        // why the RocksDB has to be rebuilt; empty: it need not
  };

  // All must outlive it.
  WalScrub(std::shared_ptr<rocksdb::FileSystem> files, const WalDirectory& directory,
           const RocksHandles& rocks);

  Found Step(size_t bytes_max);

 private:
  enum class Kind { kMark, kManifest, kSmall, kLog, kTable };
  struct Item {
    Kind kind;
    std::string path;
    std::string expected;  // of a small file its bytes, of a table its checksum
  };

  void Begin();
  void ListTables();
  void CheckMark(Found& found);
  void CheckManifest(const Item& item, Found& found);
  void CheckSmall(const Item& item, Found& found);
  void CheckLog(const Item& item, Found& found);
  // True when it has come to the table's end.
  bool CheckTable(const Item& item, size_t bytes_max, Found& found);
  void OnBadTable(const Item& item, Found& found);
  // False once all it holds is in tables: RocksDB deletes it when it comes to that.
  bool IsNeeded(const std::string& log) const;
  absl::Status MakeNeedless(const std::string& log) const;
  // Counts it once, however often it is found.
  void Damaged(const std::string& path, const std::string& what, Found& found);
  void Repaired(const std::string& path, const absl::Status& status, Found& found);
  absl::Status Rewrite(const std::string& path, const std::string& bytes) const;

  const std::shared_ptr<rocksdb::FileSystem> files_;  // shared with RocksDB
  const WalDirectory& directory_;
  const RocksHandles& rocks_;
  std::map<std::string, std::string> options_files_;  // as first seen, by path
  std::set<std::string> known_damaged_;
  bool in_pass_ = false;
  std::deque<Item> items_;
  // Of the table at the front.
  std::unique_ptr<rocksdb::FSRandomAccessFile> table_;
  std::unique_ptr<rocksdb::FileChecksumGenerator> checksum_;
  uint64_t offset_ = 0;
};

}  // namespace forebay
