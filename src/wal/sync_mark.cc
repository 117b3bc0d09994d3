#include "wal/sync_mark.h"

#include <utility>

#include "base/checksum.h"
#include "wal/rocks_options.h"
#include "wal/wal_keys.h"

namespace forebay {
namespace {

// incarnation (8) | sequence (8) | CRC-32C of both (8), big-endian
constexpr size_t kBodyBytes = 16;
constexpr size_t kBytes = 24;

std::string Encode(const SyncMark::Value& value) {
  std::string bytes = EncodeNumber(value.incarnation.value()) + EncodeNumber(value.sequence);
  return bytes + EncodeNumber(Crc32c(bytes));
}

}  // namespace

std::optional<SyncMark::Value> SyncMark::Read(rocksdb::FileSystem& files, const std::string& path) {
  std::unique_ptr<rocksdb::FSRandomAccessFile> file;
  if (!files.NewRandomAccessFile(path, {}, &file, nullptr).ok()) return std::nullopt;
  char scratch[kBytes];
  rocksdb::Slice read;
  if (!file->Read(0, kBytes, {}, &read, scratch, nullptr).ok()) return std::nullopt;
  if (read.size() != kBytes) return std::nullopt;
  const std::string_view bytes(read.data(), read.size());
  if (DecodeNumber(bytes.substr(kBodyBytes)) != Crc32c(bytes.substr(0, kBodyBytes))) {
    return std::nullopt;
  }
  return Value{Incarnation(*DecodeNumber(bytes.substr(0, 8))), *DecodeNumber(bytes.substr(8, 8))};
}

absl::StatusOr<std::unique_ptr<SyncMark>> SyncMark::Open(rocksdb::FileSystem& files,
                                                         const std::string& path) {
  if (files.FileExists(path, {}, nullptr).IsNotFound()) {
    std::unique_ptr<rocksdb::FSWritableFile> created;
    rocksdb::IOStatus status = files.NewWritableFile(path, {}, &created, nullptr);
    if (status.ok()) status = created->Close({}, nullptr);
    if (!status.ok()) return FromRocks(status, "create " + path);
  }
  std::unique_ptr<rocksdb::FSRandomRWFile> file;
  const rocksdb::IOStatus status = files.NewRandomRWFile(path, {}, &file, nullptr);
  if (!status.ok()) return FromRocks(status, "open " + path);
  return std::unique_ptr<SyncMark>(new SyncMark(std::move(file)));
}

absl::Status SyncMark::Write(const Value& value) {
  return FromRocks(file_->Write(0, Encode(value), {}, nullptr), "write the sync mark");
}

absl::Status SyncMark::Sync() { return FromRocks(file_->Fsync({}, nullptr), "sync the sync mark"); }

}  // namespace forebay
