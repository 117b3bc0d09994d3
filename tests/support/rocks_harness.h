// A RocksWalStore on a FaultyFileSystem in a temporary directory, as a WalHarness.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/faulty_file_system.h"
#include "wal/rocks_wal_engine.h"
#include "wal_store_contract.h"

namespace forebay {

class RocksHarness final : public WalHarness {
 public:
  RocksHarness() {
    std::string made = (std::filesystem::temp_directory_path() / "forebay-wal-XXXXXX").string();
    root_ = mkdtemp(made.data());
    files_ = std::make_shared<FaultyFileSystem>(root_ + "/trash");
    options_.directory = root_ + "/wal";
    options_.memtable_bytes = 1 << 20;
  }
  ~RocksHarness() override {
    files_->Heal();
    store_.reset();
    std::filesystem::remove_all(root_);
  }

  absl::Status Open(const NodeId& node, Incarnation new_incarnation) override {
    options_.node = node;
    options_.new_incarnation = new_incarnation;
    absl::StatusOr<std::unique_ptr<RocksWalEngine>> store = RocksWalEngine::Open(options_, files_);
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    return absl::OkStatus();
  }
  WalStore& store() override { return *store_; }
  void Close() override { store_.reset(); }
  void PowerCut() override { PowerCut(FaultyFileSystem::Unsynced::kGone); }
  void PowerCut(FaultyFileSystem::Unsynced unsynced) {
    files_->CutPower();
    store_.reset();
    files_->Heal();
    files_->PowerOn(unsynced);
  }
  void HoldSyncs() override { files_->SetHold(true); }
  void LetSyncsGo() override { files_->SetHold(false); }
  void FailNextSync() override { files_->FailNextLogSync(); }
  void Damage(const SegmentKey&, const StoredBlock& stored) override {
    // Opening writes what is in the log to table files; there the damage is found by a read.
    EXPECT_EQ(Open(options_.node, Incarnation(99)), absl::OkStatus());
    Close();
    int found = 0;
    for (const std::string& path : Files(".sst")) {
      const size_t at = Bytes(path).find(std::string(stored.block.bytes()));
      if (at == std::string::npos) continue;
      Flip(path, at + stored.block.bytes().size() / 2);
      ++found;
    }
    EXPECT_GT(found, 0);
  }
  void Wipe() override { std::filesystem::remove_all(options_.directory); }

  FaultyFileSystem& files() { return *files_; }
  RocksWalOptions& options() { return options_; }
  bool is_open() const { return store_ != nullptr; }

  // Paths of RocksDB's files whose names end so, in the order of their names.
  std::vector<std::string> Files(const std::string& ending) const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory + "/db")) {
      if (entry.path().string().ends_with(ending)) paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  static std::string Bytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  static void Flip(const std::string& path, size_t at) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(at));
    const char flipped = static_cast<char>(file.get() ^ 0x10);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(flipped);
  }
  // Of RocksDB; files may come and go meanwhile.
  uint64_t DiskBytes() const {
    uint64_t bytes = 0;
    for (const std::string& path : Files("")) {
      std::error_code gone;
      const uint64_t size = std::filesystem::file_size(path, gone);
      if (!gone) bytes += size;
    }
    return bytes;
  }

 private:
  std::string root_;
  std::shared_ptr<FaultyFileSystem> files_;  // shared with RocksDB
  RocksWalOptions options_;
  std::unique_ptr<RocksWalEngine> store_;
};

}  // namespace forebay
