// The files of a RocksWalStore's directory:
//   LOCK         held while a store is open
//   db/          the RocksDB
//   SYNCED       see sync_mark.h
//   DAMAGED      there while the store is being opened after damage, so that a crash in between
//   does
//                not make the damage forgotten; holds the reason
//   db.damaged/  the last RocksDB that could not be opened, for people to look at
//   db.rebuilt/  a RocksDB that is rebuilt from a damaged one; takes its place at the next
//   opening REBUILT      there when db.rebuilt/ is complete; holds the reason
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"

namespace forebay {

class WalDirectory {
 public:
  WalDirectory(std::shared_ptr<rocksdb::FileSystem> files, std::string path)
      : files_(std::move(files)), path_(std::move(path)) {}

  std::string lock_path() const { return path_ + "/LOCK"; }
  std::string db_path() const { return path_ + "/db"; }
  std::string mark_path() const { return path_ + "/SYNCED"; }
  std::string note_path() const { return path_ + "/DAMAGED"; }
  std::string aside_path() const { return path_ + "/db.damaged"; }
  std::string rebuilt_path() const { return path_ + "/db.rebuilt"; }
  std::string rebuilt_note_path() const { return path_ + "/REBUILT"; }

  // Makes the directory and those above it.
  absl::Status Create() const;

  // The reason of damage that an earlier opening noted; empty: none.
  absl::StatusOr<std::string> ReadNote() const;
  // Durable when it returns.
  absl::Status WriteNote(const std::string& reason) const;
  absl::Status RemoveNote() const;

  // Full paths of RocksDB's log files, oldest first.
  absl::StatusOr<std::vector<std::string>> LogFiles() const;
  // True when there are files of a RocksDB but not the one that names the rest.
  absl::StatusOr<bool> DbLacksItsRoot() const;
  // DATA_LOSS: cannot be read.
  absl::StatusOr<std::string> ReadFile(const std::string& path) const;
  // Durable when it returns.
  absl::Status Truncate(const std::string& path, uint64_t size) const;
  absl::Status Delete(const std::string& path) const;
  // Moves db/ to db.damaged/, in place of the one before.
  absl::Status MoveDbAside() const;

  // Deletes what is at rebuilt_path().
  absl::Status RemoveRebuilt() const;
  // The RocksDB at rebuilt_path() is complete and durable: from the next FinishRebuild on it is the
  // one. Durable when it returns.
  absl::Status NoteRebuilt(const std::string& reason) const;
  // To be called before anything else is opened: puts a complete new RocksDB in the place of the
  // old one, which goes to db.damaged/. May be cut short anywhere and called again.
  absl::Status FinishRebuild() const;

 private:
  absl::Status WriteFile(const std::string& path, const std::string& bytes) const;
  absl::Status RemoveFolder(const std::string& path) const;
  absl::Status SyncDirectory() const;
  absl::StatusOr<std::vector<std::string>> Children(const std::string& path) const;

  // Shared with its maker; RocksDB's interfaces take file systems like this.
  const std::shared_ptr<rocksdb::FileSystem> files_;
  const std::string path_;
};

}  // namespace forebay
