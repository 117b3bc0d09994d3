// The tables of the metadata file, and what is asked of them. Blocking.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "metadata/metadata_store.h"
#include "metadata/sqlite_connection.h"

namespace forebay {

// Used by one thread at a time.
class SqliteRecords {
 public:
  // As SqliteMetadataStore::Open.
  static absl::StatusOr<std::unique_ptr<SqliteRecords>> Open(const std::string& path,
                                                             absl::Duration lock_wait);

  absl::StatusOr<std::optional<MetadataRecord>> Read(const std::string& key);
  absl::StatusOr<std::vector<MetadataRecord>> List(const std::string& prefix);
  SwapResult CompareAndSwap(const std::string& key, uint64_t version, const std::string& value);

  // A number that changes when another connection has changed the file. Cheap.
  absl::StatusOr<uint64_t> DataVersion();
  // The highest version that was ever given.
  absl::StatusOr<uint64_t> LastVersion();
  // What has changed after the version `seen`; a deleted record has version 0.
  absl::StatusOr<std::vector<MetadataRecord>> ChangedSince(const std::string& prefix,
                                                           uint64_t seen);
  // Between these, reads are of one moment.
  absl::Status BeginRead();
  absl::Status EndRead();

 private:
  explicit SqliteRecords(std::unique_ptr<SqliteConnection> connection)
      : connection_(std::move(connection)) {}

  absl::Status SetUp();
  absl::Status CheckOrCreateTables();
  // Inside a transaction.
  SwapResult SwapInside(const std::string& key, uint64_t version, const std::string& value);

  const std::unique_ptr<SqliteConnection> connection_;
};

}  // namespace forebay
