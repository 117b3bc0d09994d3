// RocksWalEngine: what it does about damaged files (docs/decisions/0022-damaged-disks.md).
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/log.h"
#include "wal/rocks_wal_engine.h"

namespace forebay {

FileCheck RocksWalEngine::CheckFiles(size_t bytes_max) {
  if (absl::Status failure = Fail(absl::OkStatus()); !failure.ok()) {
    return {.pass_done = true, .status = std::move(failure)};
  }
  if (!events_->background_error().ok()) {
    // The store fails once what is to be done about it is done: whoever hears of it ends the
    // process.
    commit_thread_.Post([this] { CheckBackground().IgnoreError(); });
    return {.status = absl::OkStatus()};
  }
  WalScrub::Found found = scrub_.Step(bytes_max);
  if (std::exchange(opened_.mark_was_damaged, false)) {
    found.damaged++;
    found.repaired++;
  }
  if (found.mark_damaged) {
    commit_thread_.Post([this] { Fail(committer_.WriteMark()).IgnoreError(); });
  }
  if (!found.rebuild.empty()) {
    commit_thread_.Post([this, why = std::move(found.rebuild)] { Rebuild(why); });
  }
  return {found.bytes, found.pass_done, found.damaged, found.repaired, absl::OkStatus()};
}

absl::Status RocksWalEngine::CheckBackground() {
  const absl::Status error = events_->background_error();
  // A compaction has met a damaged table, and would again after each start.
  if (absl::IsDataLoss(error)) Rebuild(std::string(error.message()));
  return Fail(error);
}

// Meanwhile writes wait, which makes owners hand over as with any disk that stands still, and
// reads go on.
void RocksWalEngine::Rebuild(const std::string& why) {
  if (std::exchange(rebuilding_, true)) return;
  Log(LogLevel::kWarning, absl::StrCat(directory_, ": ", why, "; rebuilding the store"));
  absl::Status status = TryRebuild(why);
  if (status.ok()) {
    Fail(absl::DataLossError(absl::StrCat(why, "; it was rebuilt, for the next start")))
        .IgnoreError();
    return;
  }
  paths_.RemoveRebuilt().IgnoreError();
  if (absl::IsDataLoss(status)) {
    // What blocks there are cannot be told any more: the next opening has to say so (limbo).
    status.Update(paths_.WriteNote(absl::StrCat(why, "; ", status.message())));
    Fail(status).IgnoreError();
    return;
  }
  Log(LogLevel::kError,
      absl::StrCat(directory_, ": ", why, ", and it cannot be rebuilt: ", status.message(),
                   ". The node goes on; make room or replace the disk"));
}

absl::Status RocksWalEngine::TryRebuild(const std::string& why) {
  if (!HasRoomToRebuild()) return absl::UnavailableError("there is no room for a copy");
  if (absl::Status status = paths_.RemoveRebuilt(); !status.ok()) return status;
  absl::StatusOr<RebuiltWal> rebuilt =
      RebuildWal(*opened_.rocks, opened_.env.get(), paths_.rebuilt_path(), memtable_bytes_);
  if (!rebuilt.ok()) return rebuilt.status();
  Log(LogLevel::kInfo,
      absl::StrCat(directory_, ": rebuilt with ", rebuilt->blocks, " blocks; ", rebuilt->unreadable,
                   " could not be read and come from other replicas"));
  return paths_.NoteRebuilt(why);
}

bool RocksWalEngine::HasRoomToRebuild() const {
  uint64_t free = 0;
  if (!opened_.files->GetFreeSpace(directory_, {}, &free, nullptr).ok()) return true;
  std::vector<rocksdb::LiveFileMetaData> tables;
  opened_.rocks->db->GetLiveFilesMetaData(&tables);
  uint64_t needed = 4 * memtable_bytes_;
  for (const rocksdb::LiveFileMetaData& table : tables) needed += table.size;
  return needed < free;
}

}  // namespace forebay
