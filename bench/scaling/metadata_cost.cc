#include "scaling/metadata_cost.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "metadata/etcd/open_metadata_store.h"
#include "runtime/mutex.h"
#include "runtime/pause.h"
#include "runtime/real_clock.h"
#include "testbed/process_usage.h"

namespace forebay::scaling {
namespace {

// Keeps a number of calls under way, each on a record of its own.
class Load {
 public:
  Load(MetadataStore& store, const MetadataCostOptions& options)
      : store_(store), options_(options), value_(options.record_bytes, 'x') {}

  void Start() {
    for (size_t i = 0; i < options_.in_flight; i++) {
      under_way_++;
      Call(i, 0);
    }
  }
  void Stop() {
    stopping_ = true;
    MutexLock lock(mutex_);
    while (under_way_ > 0) ended_.Wait(mutex_);
  }
  uint64_t done() const { return done_; }
  uint64_t failed() const { return failed_; }

 private:
  std::string Key(size_t i) const { return absl::StrCat("chains/load-", options_.reads, "/", i); }

  void Call(size_t i, uint64_t version) {
    if (options_.reads) {
      store_.Read(Key(i), [this, i](const auto& record) { Ended(i, 0, record.ok()); });
    } else if (version == 0) {
      store_.Read(Key(i), [this, i](const auto& record) {
        const bool there = record.ok() && record->has_value();
        Swap(i, there ? (*record)->version : 0);
      });
    } else {
      Swap(i, version);
    }
  }
  void Swap(size_t i, uint64_t version) {
    store_.CompareAndSwap(Key(i), version, value_, [this, i](const SwapResult& result) {
      Ended(i, result.ok() ? *result : 0, result.ok());
    });
  }
  void Ended(size_t i, uint64_t version, bool ok) {
    (ok ? done_ : failed_)++;
    if (!stopping_) return Call(i, version);
    MutexLock lock(mutex_);
    if (--under_way_ == 0) ended_.SignalAll();
  }

  MetadataStore& store_;
  const MetadataCostOptions& options_;
  const std::string value_;
  std::atomic<uint64_t> done_ = 0, failed_ = 0;
  std::atomic<bool> stopping_ = false;
  Mutex mutex_;
  CondVar ended_;
  std::atomic<size_t> under_way_ = 0;
};

}  // namespace

absl::StatusOr<MetadataCost> MeasureMetadata(const MetadataCostOptions& options) {
  auto store = OpenMetadataStore(options.where);
  if (!store.ok()) return store.status();
  std::atomic<uint64_t> told = 0;
  std::vector<std::unique_ptr<MetadataStore>> watchers;
  for (size_t i = 0; i < options.watchers; i++) {
    auto watcher = OpenMetadataStore(options.where);
    if (!watcher.ok()) return watcher.status();
    (*watcher)->Watch("chains/", [&told](const auto& records) { told += records.size(); });
    watchers.push_back(*std::move(watcher));
  }
  Load load(**store, options);
  load.Start();
  Pause(absl::Seconds(1));  // connections are made, records are there
  const RealClock clock;
  const absl::Time began = clock.Now();
  const uint64_t done = load.done(), failed = load.failed(), told_before = told;
  const double cpu = UsageOf(options.pids).cpu_seconds;
  Pause(options.time);
  const auto calls = static_cast<double>(load.done() - done);
  MetadataCost cost;
  cost.calls_per_second = calls / absl::ToDoubleSeconds(clock.Now() - began);
  cost.failed = static_cast<double>(load.failed() - failed);
  cost.told_per_call = static_cast<double>(told - told_before) / calls;
  cost.server_cpu_us_per_call = (UsageOf(options.pids).cpu_seconds - cpu) / calls * 1e6;
  load.Stop();
  return cost;
}

}  // namespace forebay::scaling
