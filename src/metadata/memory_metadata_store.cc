#include "metadata/memory_metadata_store.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace forebay {

std::optional<MetadataRecord> MemoryMetadata::Get(const std::string& key) const {
  MutexLock lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end() || !at->second.value.has_value()) return std::nullopt;
  return MetadataRecord{key, *at->second.value, at->second.version};
}

std::vector<MetadataRecord> MemoryMetadata::Records(const std::string& prefix) const {
  std::vector<MetadataRecord> records;
  MutexLock lock(mutex_);
  for (auto at = entries_.lower_bound(prefix);
       at != entries_.end() && at->first.starts_with(prefix); ++at) {
    const Entry& entry = at->second;
    if (entry.value.has_value()) records.push_back({at->first, *entry.value, entry.version});
  }
  return records;
}

SwapResult MemoryMetadata::Swap(const std::string& key, uint64_t version, std::string value) {
  uint64_t applied_at = 0;
  {
    MutexLock lock(mutex_);
    const auto at = entries_.find(key);
    const bool exists = at != entries_.end() && at->second.value.has_value();
    const uint64_t current = exists ? at->second.version : 0;
    if (current != version) {
      return absl::AbortedError(
          absl::StrCat("record ", key, " is at version ", current, ", not ", version));
    }
    applied_at = ++revision_;
    entries_[key] = {std::move(value), applied_at};
  }
  NotifyWatchers();
  return applied_at;
}

void MemoryMetadata::Delete(const std::string& key) {
  {
    MutexLock lock(mutex_);
    const auto at = entries_.find(key);
    if (at == entries_.end() || !at->second.value.has_value()) return;
    at->second = {std::nullopt, ++revision_};
  }
  NotifyWatchers();
}

void MemoryMetadata::SetLocked(bool locked) {
  MutexLock lock(mutex_);
  locked_ = locked;
}

bool MemoryMetadata::locked() const {
  MutexLock lock(mutex_);
  return locked_;
}

uint64_t MemoryMetadata::AddWatcher(std::function<void()> watcher) {
  MutexLock lock(mutex_);
  watchers_[next_watcher_] = std::move(watcher);
  return next_watcher_++;
}

void MemoryMetadata::RemoveWatcher(uint64_t id) {
  MutexLock lock(mutex_);
  watchers_.erase(id);
}

std::vector<MetadataRecord> MemoryMetadata::ChangedSince(const std::string& prefix,
                                                         uint64_t& seen) const {
  std::vector<MetadataRecord> records;
  MutexLock lock(mutex_);
  for (auto at = entries_.lower_bound(prefix);
       at != entries_.end() && at->first.starts_with(prefix); ++at) {
    const Entry& entry = at->second;
    if (entry.version <= seen) continue;
    if (entry.value.has_value()) {
      records.push_back({at->first, *entry.value, entry.version});
    } else {
      records.push_back({at->first, "", 0});
    }
  }
  seen = revision_;
  return records;
}

void MemoryMetadata::NotifyWatchers() {
  std::vector<std::function<void()>> watchers;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, watcher] : watchers_) watchers.push_back(watcher);
  }
  for (const auto& watcher : watchers) watcher();
}

class MemoryMetadataStore::View : public std::enable_shared_from_this<View> {
 public:
  View(std::shared_ptr<MemoryMetadata> content, Executor& executor, Random random,
       MemoryMetadataFaults faults)
      : content_(std::move(content)), executor_(executor), random_(random), faults_(faults) {}

  // `serve` runs at the server, `done` here.
  template <typename Result>
  void Call(bool swap, absl::AnyInvocable<Result()> serve, absl::AnyInvocable<void(Result)> done) {
    // Both ends of the call run on our executor, so this needs no lock.
    auto waiting = std::make_shared<absl::AnyInvocable<void(Result)>>(std::move(done));
    const auto finish = [waiting](Result result) {
      if (!*waiting) return;
      std::exchange(*waiting, nullptr)(std::move(result));
    };
    Plan plan = MakePlan(swap);
    const absl::Status timed_out =
        plan.reachable ? absl::DeadlineExceededError("metadata store: no answer in time")
                       : absl::UnavailableError("metadata store: cannot be reached");
    Later(plan.timeout, [finish, timed_out] { finish(timed_out); });
    if (plan.request_lost) return;
    content_->executor().PostAfter(plan.request_delay, [view = shared_from_this(), plan, finish,
                                                        swap, serve = std::move(serve)]() mutable {
      const bool locked = swap && view->content_->locked();
      if (locked) plan.reply_delay += MemoryMetadata::kLockWait;
      Result result =
          locked ? Result(absl::CancelledError("metadata store: locked by another")) : serve();
      if (plan.reply_lost) return;
      view->Later(plan.reply_delay, [view, finish, result = std::move(result)]() mutable {
        if (view->IsReachable()) finish(std::move(result));
      });
    });
  }

  void Watch(std::string prefix, Changed changed) {
    auto watch = std::make_shared<OneWatch>();
    watch->prefix = std::move(prefix);
    watch->changed = std::move(changed);
    {
      MutexLock lock(mutex_);
      watches_.push_back(watch);
    }
    const uint64_t id = content_->AddWatcher([view = weak_from_this(), watch] {
      if (const auto alive = view.lock()) alive->Poke(watch);
    });
    {
      MutexLock lock(mutex_);
      watcher_ids_.push_back(id);
    }
    Poke(watch);
  }

  void SetReachable(bool reachable) {
    std::vector<std::shared_ptr<OneWatch>> watches;
    {
      MutexLock lock(mutex_);
      reachable_ = reachable;
      if (reachable) watches = watches_;
    }
    for (const auto& watch : watches) Poke(watch);
  }

  void SetFaults(MemoryMetadataFaults faults) {
    MutexLock lock(mutex_);
    faults_ = faults;
  }

  void Close() {
    std::vector<uint64_t> ids;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      while (running_) idle_.Wait(mutex_);
      ids = watcher_ids_;
    }
    for (const uint64_t id : ids) content_->RemoveWatcher(id);
  }

 private:
  struct OneWatch {
    std::string prefix;
    Changed changed;          // used on the executor only
    uint64_t seen = 0;        // under the view's lock, like the rest
    bool told_first = false;  // what was there at the start
    bool on_its_way = false;
    bool again = false;  // something may have changed since
  };
  struct Plan {
    bool reachable, request_lost, reply_lost;
    absl::Duration timeout, request_delay, reply_delay;
  };

  bool IsReachable() {
    MutexLock lock(mutex_);
    return reachable_;
  }

  Plan MakePlan(bool swap) {
    MutexLock lock(mutex_);
    Plan plan;
    plan.reachable = reachable_;
    plan.request_lost = !reachable_ || random_.Chance(faults_.request_lost);
    plan.reply_lost = random_.Chance(faults_.reply_lost);
    plan.timeout = faults_.timeout;
    plan.request_delay = random_.Between(faults_.delay_min, faults_.delay_max);
    plan.reply_delay = random_.Between(faults_.delay_min, faults_.delay_max);
    if (swap && random_.Chance(faults_.late)) {
      plan.request_delay =
          faults_.timeout + random_.Between(absl::ZeroDuration(), faults_.late_max);
    }
    return plan;
  }

  absl::Duration WatchDelay() {
    MutexLock lock(mutex_);
    return random_.Between(faults_.watch_delay_min, faults_.watch_delay_max);
  }

  // Runs the task on the node's executor, unless the view is closed before.
  void Later(absl::Duration delay, Task task) {
    MutexLock lock(mutex_);
    // Checked under the lock: the executor may be gone once the view is closed.
    if (closed_) return;
    executor_.PostAfter(delay, [view = shared_from_this(), task = std::move(task)]() mutable {
      {
        MutexLock lock(view->mutex_);
        if (view->closed_) return;
        view->running_ = true;
      }
      task();
      MutexLock lock(view->mutex_);
      view->running_ = false;
      view->idle_.SignalAll();
    });
  }

  // Fetches what is new for the watch, one fetch at a time so that news stay in order.
  void Poke(const std::shared_ptr<OneWatch>& watch) {
    {
      MutexLock lock(mutex_);
      watch->again = true;
      if (watch->on_its_way || closed_) return;
      watch->on_its_way = true;
      watch->again = false;
    }
    content_->executor().PostAfter(WatchDelay(), [view = shared_from_this(), watch] {
      uint64_t seen = 0;
      {
        MutexLock lock(view->mutex_);
        seen = watch->seen;
      }
      std::vector<MetadataRecord> news = view->content_->ChangedSince(watch->prefix, seen);
      view->Later(view->WatchDelay(), [view, watch, seen, news = std::move(news)]() mutable {
        view->Tell(watch, seen, std::move(news));
      });
    });
  }

  void Tell(const std::shared_ptr<OneWatch>& watch, uint64_t seen,
            std::vector<MetadataRecord> news) {
    bool tell = false;
    {
      MutexLock lock(mutex_);
      if (!reachable_) {
        // Lost on the way. SetReachable(true) fetches it again.
        watch->on_its_way = false;
        return;
      }
      watch->seen = seen;
      tell = !news.empty() || !watch->told_first;
      watch->told_first = true;
    }
    if (tell) watch->changed(std::move(news));
    bool again = false;
    {
      MutexLock lock(mutex_);
      watch->on_its_way = false;
      again = watch->again;
    }
    if (again) Poke(watch);
  }

  const std::shared_ptr<MemoryMetadata> content_;
  Executor& executor_;

  Mutex mutex_;
  CondVar idle_;
  Random random_ ABSL_GUARDED_BY(mutex_);
  MemoryMetadataFaults faults_ ABSL_GUARDED_BY(mutex_);
  bool reachable_ ABSL_GUARDED_BY(mutex_) = true;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<OneWatch>> watches_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> watcher_ids_ ABSL_GUARDED_BY(mutex_);
};

MemoryMetadataStore::MemoryMetadataStore(std::shared_ptr<MemoryMetadata> content,
                                         Executor& executor, Random random,
                                         MemoryMetadataFaults faults)
    : content_(content),
      view_(std::make_shared<View>(std::move(content), executor, random, faults)) {}

MemoryMetadataStore::~MemoryMetadataStore() { view_->Close(); }

void MemoryMetadataStore::Read(std::string key, ReadDone done) {
  view_->Call<absl::StatusOr<std::optional<MetadataRecord>>>(
      false, [content = content_, key = std::move(key)] { return content->Get(key); },
      std::move(done));
}

void MemoryMetadataStore::List(std::string prefix, ListDone done) {
  view_->Call<absl::StatusOr<std::vector<MetadataRecord>>>(
      false, [content = content_, prefix = std::move(prefix)] { return content->Records(prefix); },
      std::move(done));
}

void MemoryMetadataStore::CompareAndSwap(std::string key, uint64_t version, std::string value,
                                         SwapDone done) {
  view_->Call<SwapResult>(
      true,
      [content = content_, key = std::move(key), version, value = std::move(value)] {
        return content->Swap(key, version, value);
      },
      std::move(done));
}

void MemoryMetadataStore::Watch(std::string prefix, Changed changed) {
  view_->Watch(std::move(prefix), std::move(changed));
}

void MemoryMetadataStore::SetReachable(bool reachable) { view_->SetReachable(reachable); }
void MemoryMetadataStore::SetFaults(MemoryMetadataFaults faults) { view_->SetFaults(faults); }

}  // namespace forebay
