// MetadataStore: small versioned records, changed only by compare-and-swap.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace forebay {

// Versions of one key only rise. 0 stands for "no record".
struct MetadataRecord {
  std::string key;
  std::string value;
  uint64_t version = 0;
};

// What became of a swap.
//   OK: applied; `version` is the record's new version.
//   ABORTED: not applied and never will be: the record was at another version when it was tried.
//     Told only while the store takes writes, so it proves that as well.
//   CANCELLED: not applied and never will be: the store takes no writes at the moment, or did not
//     come to it in time. It says nothing of the record.
//   anything else (UNAVAILABLE, DEADLINE_EXCEEDED, ...): unknown, it may even be applied later.
//     Settle it with another swap on the same record, never with a read:
//     docs/design/model.md#guards, roll-settles.
using SwapResult = absl::StatusOr<uint64_t>;

// What a caller outside is told of a swap: to try again where the store takes no writes.
inline absl::Status StatusToTell(const SwapResult& swapped) {
  if (!absl::IsCancelled(swapped.status())) return swapped.status();
  return absl::UnavailableError(swapped.status().message());
}

// Thread-safe. Callbacks run on any thread, never inside the call, and must not block; each runs
// once, at the latest after the store's own time-out (2 s by default), and none runs after the
// destructor has returned.
class MetadataStore {
 public:
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<std::optional<MetadataRecord>>)>;
  using ListDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<MetadataRecord>>)>;
  using SwapDone = absl::AnyInvocable<void(SwapResult)>;
  // Called with the records that changed (a deleted one has version 0 and no value).
  using Changed = absl::AnyInvocable<void(std::vector<MetadataRecord>)>;

  virtual ~MetadataStore() = default;

  // The latest record (linearizable).
  virtual void Read(std::string key, ReadDone done) = 0;
  // All records whose key starts with the prefix, at one moment.
  virtual void List(std::string prefix, ListDone done) = 0;
  // Sets the record if it is at `version` (0: if it does not exist).
  virtual void CompareAndSwap(std::string key, uint64_t version, std::string value,
                              SwapDone done) = 0;
  // Tells of changes under the prefix from now on, at least the latest of each key, soon after they
  // happen. After an outage it tells what it missed. The first call tells what is there.
  // Watching ends with the store.
  virtual void Watch(std::string prefix, Changed changed) = 0;
};

}  // namespace forebay
