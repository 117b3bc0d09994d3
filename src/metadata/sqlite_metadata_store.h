// The MetadataStore of one machine: an SQLite file that several processes share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "metadata/metadata_store.h"

namespace forebay {

struct SqliteMetadataOptions {
  std::string path;  // created if it does not exist; its folder must. On a local disk.
  absl::Duration timeout = absl::Seconds(2);  // of each call
  // How often changes of other processes are looked for.
  absl::Duration poll_every = absl::Milliseconds(20);
};

// A swap that was reported OK survives a power cut. Callbacks run on a thread of the store; it must
// not be destroyed from one. The file's tables are in docs/FORMATS.md.
class SqliteMetadataStore final : public MetadataStore {
 public:
  // NOT_FOUND: no such folder. DATA_LOSS: not a database, or a damaged one. FAILED_PRECONDITION:
  // a database of something else, or of a newer version. Blocks while others hold the file, for
  // the time-out at most.
  static absl::StatusOr<std::unique_ptr<SqliteMetadataStore>> Open(SqliteMetadataOptions options);
  ~SqliteMetadataStore() override;

  void Read(std::string key, ReadDone done) override;
  void List(std::string prefix, ListDone done) override;
  void CompareAndSwap(std::string key, uint64_t version, std::string value, SwapDone done) override;
  void Watch(std::string prefix, Changed changed) override;

 private:
  class Worker;
  class Watcher;
  class Calls;

  SqliteMetadataStore(std::unique_ptr<Calls> calls, std::unique_ptr<Watcher> watcher,
                      std::unique_ptr<Worker> worker);

  // Destroyed from the last to the first: who uses another comes after it.
  const std::unique_ptr<Calls> calls_;
  const std::unique_ptr<Watcher> watcher_;
  const std::unique_ptr<Worker> worker_;
};

}  // namespace forebay
