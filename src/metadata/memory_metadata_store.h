// A MetadataStore in memory, for tests and simulations: deterministic, and able to fail like a real
// one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "metadata/metadata_store.h"
#include "runtime/executor.h"
#include "runtime/mutex.h"
#include "runtime/random.h"

namespace forebay {

// What all nodes see: the store's server, so to say. Shared by the views and by requests that are
// under way. Thread-safe.
class MemoryMetadata {
 public:
  // Requests of the views run on `executor`; it must outlive them.
  explicit MemoryMetadata(Executor& executor) : executor_(executor) {}

  // At once, past all faults: for checking and preparing.
  std::optional<MetadataRecord> Get(const std::string& key) const;
  std::vector<MetadataRecord> Records(const std::string& prefix) const;
  SwapResult Swap(const std::string& key, uint64_t version, std::string value);
  void Delete(const std::string& key);
  // While it is locked, swaps of the views end as CANCELLED after kLockWait. Reads go on.
  void SetLocked(bool locked);
  bool locked() const;
  static constexpr absl::Duration kLockWait = absl::Milliseconds(500);

  // For the views. `watcher` is called after every change, on any thread.
  Executor& executor() { return executor_; }
  uint64_t AddWatcher(std::function<void()> watcher);
  void RemoveWatcher(uint64_t id);
  // Records that changed after the revision `seen`; sets it to the revision they are from.
  std::vector<MetadataRecord> ChangedSince(const std::string& prefix, uint64_t& seen) const;

 private:
  // A tombstone has no value.
  struct Entry {
    std::optional<std::string> value;
    uint64_t version = 0;
  };
  void NotifyWatchers();

  Executor& executor_;
  mutable Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
  bool locked_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_watcher_ ABSL_GUARDED_BY(mutex_) = 0;
  // In the order of registration, so that a simulation repeats itself.
  std::map<uint64_t, std::function<void()>> watchers_ ABSL_GUARDED_BY(mutex_);
};

// What can go wrong between one node and the store. Durations are drawn uniformly.
struct MemoryMetadataFaults {
  absl::Duration timeout = absl::Seconds(2);
  absl::Duration delay_min, delay_max;              // each way of a call
  absl::Duration watch_delay_min, watch_delay_max;  // each way of a watch's news
  double request_lost = 0;  // never arrives: unknown to the caller, never applied
  double reply_lost = 0;    // arrives and takes effect, but the caller gets a time-out
  double late = 0;          // a swap arrives after the caller was told "unknown", ...
  absl::Duration late_max = absl::Seconds(5);  // ... at most this long after
};

// One node's view. Callbacks run on the node's executor. Thread-safe; must be destroyed before that
// executor and not from one of its own callbacks.
class MemoryMetadataStore final : public MetadataStore {
 public:
  // `content` is shared with the other views.
  MemoryMetadataStore(std::shared_ptr<MemoryMetadata> content, Executor& executor, Random random,
                      MemoryMetadataFaults faults = {});
  ~MemoryMetadataStore() override;

  void Read(std::string key, ReadDone done) override;
  void List(std::string prefix, ListDone done) override;
  void CompareAndSwap(std::string key, uint64_t version, std::string value, SwapDone done) override;
  void Watch(std::string prefix, Changed changed) override;

  // While false, calls end with UNAVAILABLE after the time-out, replies of calls under way do not
  // come back (the calls may have taken effect), and watches are silent until it is true again.
  void SetReachable(bool reachable);
  // For calls from now on.
  void SetFaults(MemoryMetadataFaults faults);

 private:
  class View;

  const std::shared_ptr<MemoryMetadata> content_;
  // Shared with tasks under way, which may outlive this object.
  const std::shared_ptr<View> view_;
};

}  // namespace forebay
