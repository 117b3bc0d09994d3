// SyncMark: a small file that says up to which sequence number the log was surely synced. It is
// written after each sync and itself synced only now and then, so after a power cut it may be old;
// it never says too much. A log that ends before it has lost synced writes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "forebay/ids.h"
#include "rocksdb/file_system.h"

namespace forebay {

class SyncMark {
 public:
  struct Value {
    Incarnation incarnation;  // of the store that wrote it; of no meaning to another
    uint64_t sequence = 0;
  };

  // nullopt: there is none, or it cannot be read; then nothing is known.
  static std::optional<Value> Read(rocksdb::FileSystem& files, const std::string& path);

  // Creates the file, or opens it to write over it.
  static absl::StatusOr<std::unique_ptr<SyncMark>> Open(rocksdb::FileSystem& files,
                                                        const std::string& path);

  absl::Status Write(const Value& value);
  absl::Status Sync();

 private:
  explicit SyncMark(std::unique_ptr<rocksdb::FSRandomRWFile> file) : file_(std::move(file)) {}

  const std::unique_ptr<rocksdb::FSRandomRWFile> file_;
};

}  // namespace forebay
