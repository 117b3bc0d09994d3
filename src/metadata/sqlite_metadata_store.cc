#include "metadata/sqlite_metadata_store.h"

#include <atomic>
#include <map>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "metadata/sqlite_records.h"
#include "runtime/log.h"
#include "runtime/thread_executor.h"

namespace forebay {
namespace {

// Parts of the time-out, so that a swap that is begun at the last moment and finds the file locked
// still ends before it, surely not applied.
constexpr double kBeginWithin = 0.75;
constexpr double kLockWait = 0.2;

}  // namespace

// Ends every call once, on a thread of its own that never touches the file: a stalled disk delays
// no time-out.
class SqliteMetadataStore::Calls {
 public:
  template <typename Result>
  class Call {
   public:
    explicit Call(absl::AnyInvocable<void(Result)> done) : done_(std::move(done)) {}
    // The worker's: false when the call has ended, and must not be begun any more.
    bool Begin() { return state_.exchange(kBegun) == kWaits; }
    // True: it was not begun, and never will be.
    bool Cancel() {
      State waits = kWaits;
      return state_.compare_exchange_strong(waits, kCancelled);
    }
    // On the thread of the calls.
    void End(Result result) {
      if (!ended_.exchange(true)) done_(std::move(result));
    }

   private:
    enum State { kWaits, kBegun, kCancelled };
    std::atomic<State> state_ = kWaits;
    std::atomic<bool> ended_ = false;
    absl::AnyInvocable<void(Result)> done_;
  };

  explicit Calls(absl::Duration timeout) : timeout_(timeout) {}

  // A call that changes something and has not been begun in time is never begun, and says so.
  template <typename Result>
  std::shared_ptr<Call<Result>> Begin(absl::AnyInvocable<void(Result)> done, bool changes) {
    auto call = std::make_shared<Call<Result>>(std::move(done));
    const auto why = [timeout = timeout_] {
      return absl::StrCat("metadata file: no answer within ", absl::FormatDuration(timeout),
                          "; another process may hold its lock, or the disk may be slow");
    };
    if (changes) {
      thread_.PostAfter(kBeginWithin * timeout_, [this, call, why] {
        if (!closing_ && call->Cancel()) call->End(absl::CancelledError(why()));
      });
    }
    thread_.PostAfter(timeout_, [this, call, why] {
      if (closing_) return;
      call->Cancel();
      call->End(absl::DeadlineExceededError(why()));
    });
    return call;
  }

  template <typename Result>
  void End(std::shared_ptr<Call<Result>> call, Result result) {
    Post([call = std::move(call), result = std::move(result)]() mutable {
      call->End(std::move(result));
    });
  }

  void Post(Task task) {
    thread_.Post([this, task = std::move(task)]() mutable {
      if (!closing_) task();
    });
  }
  // What has not been called back by now never is.
  void Close() { closing_ = true; }

 private:
  const absl::Duration timeout_;
  std::atomic<bool> closing_ = false;
  ThreadExecutor thread_{"metadata"};
};

// Finds out what has changed in the file, by polling.
class SqliteMetadataStore::Watcher {
 public:
  Watcher(Calls& calls, std::unique_ptr<SqliteRecords> records, absl::Duration poll_every)
      : calls_(calls), records_(std::move(records)), poll_every_(poll_every) {
    thread_.PostAfter(poll_every_, [this] { PollAndAgain(); });
  }

  void Add(std::string prefix, Changed changed) {
    // Shared with calls back under way.
    auto shared = std::make_shared<Changed>(std::move(changed));
    thread_.Post([this, prefix = std::move(prefix), shared = std::move(shared)]() mutable {
      watches_.push_back({std::move(prefix), std::move(shared)});
      due_ = true;
      Poll();
    });
  }

  // This process has changed something: no need to wait for the next poll.
  void Hurry() {
    thread_.Post([this] { Poll(); });
  }

  void Stop() {
    stopping_ = true;
    thread_.Stop();
  }

 private:
  struct OneWatch {
    std::string prefix;
    std::shared_ptr<Changed> changed;
    uint64_t seen = 0;
    bool told = false;
  };

  void PollAndAgain() {
    Poll();
    thread_.PostAfter(poll_every_, [this] { PollAndAgain(); });
  }

  void Poll() {
    if (stopping_ || watches_.empty()) return;
    const absl::Status status = Look();
    if (status.ok() != working_) {
      working_ = status.ok();
      if (working_) {
        Log(LogLevel::kInfo, "metadata: the file can be read again");
      } else {
        Log(LogLevel::kWarning,
            "metadata: cannot look for changes, trying on: " + std::string(status.message()));
      }
    }
    // What could not be read is read next time, whether or not the file has changed since.
    due_ = !status.ok();
  }

  absl::Status Look() {
    const absl::StatusOr<uint64_t> data_version = records_->DataVersion();
    if (!data_version.ok()) return data_version.status();
    if (*data_version == data_version_ && !due_) return absl::OkStatus();
    if (absl::Status status = records_->BeginRead(); !status.ok()) return status;
    const absl::Status status = LookInside();
    const absl::Status ended = records_->EndRead();
    // Only now: a change between the two reads makes it differ again.
    if (status.ok()) data_version_ = *data_version;
    return status.ok() ? ended : status;
  }

  absl::Status LookInside() {
    const absl::StatusOr<uint64_t> last = records_->LastVersion();
    if (!last.ok()) return last.status();
    for (OneWatch& watch : watches_) {
      auto news = records_->ChangedSince(watch.prefix, watch.seen);
      if (!news.ok()) return news.status();
      watch.seen = *last;
      if (news->empty() && watch.told) continue;
      watch.told = true;
      calls_.Post([changed = watch.changed, news = *std::move(news)]() mutable {
        (*changed)(std::move(news));
      });
    }
    return absl::OkStatus();
  }

  Calls& calls_;
  const std::unique_ptr<SqliteRecords> records_;
  const absl::Duration poll_every_;
  std::atomic<bool> stopping_ = false;
  // On the thread only.
  std::vector<OneWatch> watches_;
  uint64_t data_version_ = 0;
  bool due_ = false;
  bool working_ = true;
  ThreadExecutor thread_{"metadata watch"};
};

// Runs the calls, one at a time.
class SqliteMetadataStore::Worker {
 public:
  Worker(Calls& calls, Watcher& watcher, std::unique_ptr<SqliteRecords> records)
      : calls_(calls), watcher_(watcher), records_(std::move(records)) {}

  template <typename Result>
  void Run(absl::AnyInvocable<Result(SqliteRecords&)> work, absl::AnyInvocable<void(Result)> done,
           bool changes) {
    thread_.Post([this, changes, work = std::move(work),
                  call = calls_.Begin(std::move(done), changes)]() mutable {
      if (stopping_ || !call->Begin()) return;
      Result result = work(*records_);
      const bool changed = changes && result.ok();
      calls_.End(std::move(call), std::move(result));
      if (changed) watcher_.Hurry();
    });
  }

  void Stop() {
    stopping_ = true;
    thread_.Stop();
  }

 private:
  Calls& calls_;
  Watcher& watcher_;
  const std::unique_ptr<SqliteRecords> records_;
  std::atomic<bool> stopping_ = false;
  ThreadExecutor thread_{"metadata file"};
};

absl::StatusOr<std::unique_ptr<SqliteMetadataStore>> SqliteMetadataStore::Open(
    SqliteMetadataOptions options) {
  // Well within the time-out, so that a swap that finds the file locked is told that it was not
  // applied: an owner's commits wait for that.
  auto for_calls = SqliteRecords::Open(options.path, kLockWait * options.timeout);
  if (!for_calls.ok()) return for_calls.status();
  auto for_watch = SqliteRecords::Open(options.path, options.timeout);
  if (!for_watch.ok()) return for_watch.status();
  auto calls = std::make_unique<Calls>(options.timeout);
  auto watcher = std::make_unique<Watcher>(*calls, *std::move(for_watch), options.poll_every);
  auto worker = std::make_unique<Worker>(*calls, *watcher, *std::move(for_calls));
  return std::unique_ptr<SqliteMetadataStore>(
      new SqliteMetadataStore(std::move(calls), std::move(watcher), std::move(worker)));
}

SqliteMetadataStore::SqliteMetadataStore(std::unique_ptr<Calls> calls,
                                         std::unique_ptr<Watcher> watcher,
                                         std::unique_ptr<Worker> worker)
    : calls_(std::move(calls)), watcher_(std::move(watcher)), worker_(std::move(worker)) {}

SqliteMetadataStore::~SqliteMetadataStore() {
  calls_->Close();
  worker_->Stop();
  watcher_->Stop();
}

void SqliteMetadataStore::Read(std::string key, ReadDone done) {
  worker_->Run<absl::StatusOr<std::optional<MetadataRecord>>>(
      [key = std::move(key)](SqliteRecords& records) { return records.Read(key); }, std::move(done),
      false);
}

void SqliteMetadataStore::List(std::string prefix, ListDone done) {
  worker_->Run<absl::StatusOr<std::vector<MetadataRecord>>>(
      [prefix = std::move(prefix)](SqliteRecords& records) { return records.List(prefix); },
      std::move(done), false);
}

void SqliteMetadataStore::CompareAndSwap(std::string key, uint64_t version, std::string value,
                                         SwapDone done) {
  worker_->Run<SwapResult>(
      [key = std::move(key), version, value = std::move(value)](SqliteRecords& records) {
        return records.CompareAndSwap(key, version, value);
      },
      std::move(done), true);
}

void SqliteMetadataStore::Watch(std::string prefix, Changed changed) {
  watcher_->Add(std::move(prefix), std::move(changed));
}

}  // namespace forebay
