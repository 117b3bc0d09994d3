// The contract of MetadataStore as tests. A test program brings a MetadataWorld and instantiates
// MetadataStoreContract with it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "metadata/metadata_store.h"
#include "runtime/mutex.h"

namespace forebay {

// One content, seen by two nodes. Without one (nullptr) the suite is skipped, and the program that
// makes none says why.
class MetadataWorld {
 public:
  virtual ~MetadataWorld() = default;
  virtual MetadataStore& node(int index) = 0;  // 0 or 1
  virtual void DestroyNode(int index) = 0;
  // As an operator would, by hand.
  virtual void Delete(const std::string& key) = 0;
  // Another process keeps the store from taking writes, or no longer. False: no such thing there.
  virtual bool SetLocked(bool) { return false; }
};

// A value that another thread sets.
template <typename T>
class Waiter {
 public:
  void Set(T value) {
    MutexLock lock(mutex_);
    value_ = std::move(value);
    changed_.SignalAll();
  }
  T Get() {
    MutexLock lock(mutex_);
    while (!value_.has_value()) changed_.Wait(mutex_);
    return *std::move(value_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

inline absl::StatusOr<std::optional<MetadataRecord>> ReadNow(MetadataStore& store,
                                                             const std::string& key) {
  auto waiter = std::make_shared<Waiter<absl::StatusOr<std::optional<MetadataRecord>>>>();
  store.Read(key, [waiter](auto result) { waiter->Set(std::move(result)); });
  return waiter->Get();
}

inline absl::StatusOr<std::vector<MetadataRecord>> ListNow(MetadataStore& store,
                                                           const std::string& prefix) {
  auto waiter = std::make_shared<Waiter<absl::StatusOr<std::vector<MetadataRecord>>>>();
  store.List(prefix, [waiter](auto result) { waiter->Set(std::move(result)); });
  return waiter->Get();
}

inline SwapResult SwapNow(MetadataStore& store, const std::string& key, uint64_t version,
                          const std::string& value) {
  auto waiter = std::make_shared<Waiter<SwapResult>>();
  store.CompareAndSwap(key, version, value,
                       [waiter](SwapResult result) { waiter->Set(std::move(result)); });
  return waiter->Get();
}

// What a watch has told so far.
class Watched {
 public:
  Watched(MetadataStore& store, const std::string& prefix) {
    store.Watch(prefix, [told = told_](std::vector<MetadataRecord> records) {
      MutexLock lock(told->mutex);
      told->calls++;
      for (MetadataRecord& record : records) {
        told->history.push_back(record);
        told->latest[record.key] = std::move(record);
      }
      told->changed.SignalAll();
    });
  }

  void WaitForCall() {
    MutexLock lock(told_->mutex);
    while (told_->calls == 0) told_->changed.Wait(told_->mutex);
  }
  // Until it told of the key at that version or a later one (0: of its deletion); the value.
  std::string WaitFor(const std::string& key, uint64_t version) {
    MutexLock lock(told_->mutex);
    while (true) {
      const auto at = told_->latest.find(key);
      if (at != told_->latest.end() &&
          (version == 0 ? at->second.version == 0 : at->second.version >= version)) {
        return at->second.value;
      }
      told_->changed.Wait(told_->mutex);
    }
  }
  std::vector<MetadataRecord> history() {
    MutexLock lock(told_->mutex);
    return told_->history;
  }

 private:
  struct Told {
    Mutex mutex;
    CondVar changed;
    int calls ABSL_GUARDED_BY(mutex) = 0;
    std::map<std::string, MetadataRecord> latest ABSL_GUARDED_BY(mutex);
    std::vector<MetadataRecord> history ABSL_GUARDED_BY(mutex);
  };
  // Shared with the store, which may outlive this object.
  std::shared_ptr<Told> told_ = std::make_shared<Told>();
};

using MakeMetadataWorld = std::function<std::unique_ptr<MetadataWorld>()>;

class MetadataStoreContract : public ::testing::TestWithParam<MakeMetadataWorld> {
 protected:
  void SetUp() override {
    if (world_ == nullptr) GTEST_SKIP() << "there is no such store here";
  }
  MetadataStore& node(int index) { return world_->node(index); }
  uint64_t MustSwap(int index, const std::string& key, uint64_t version, const std::string& value) {
    const SwapResult result = SwapNow(node(index), key, version, value);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : 0;
  }
  std::optional<MetadataRecord> MustRead(int index, const std::string& key) {
    const auto result = ReadNow(node(index), key);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : std::nullopt;
  }

  std::unique_ptr<MetadataWorld> world_ = GetParam()();
};

TEST_P(MetadataStoreContract, ReadsNothingWhereNothingWasWritten) {
  EXPECT_FALSE(MustRead(0, "nodes/a").has_value());
}

TEST_P(MetadataStoreContract, ReadsWhatAnotherNodeWrote) {
  const std::string bytes("\0\x01 caf\xc3\xa9 \xff'\"", 12);
  const uint64_t version = MustSwap(0, "nodes/a", 0, bytes);
  EXPECT_GT(version, 0u);
  const auto record = MustRead(1, "nodes/a");
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->key, "nodes/a");
  EXPECT_EQ(record->value, bytes);
  EXPECT_EQ(record->version, version);
}

TEST_P(MetadataStoreContract, CreatesARecordOnlyOnce) {
  MustSwap(0, "nodes/a", 0, "first");
  const SwapResult second = SwapNow(node(1), "nodes/a", 0, "second");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(MustRead(0, "nodes/a")->value, "first");
}

TEST_P(MetadataStoreContract, SwapsOnlyAtTheVersionGiven) {
  const uint64_t one = MustSwap(0, "chains/web/0", 0, "one");
  MustSwap(0, "chains/web/1", 0, "another record");
  const uint64_t two = MustSwap(1, "chains/web/0", one, "two");
  EXPECT_GT(two, one);
  for (const uint64_t wrong : {uint64_t{0}, one, two + 1, two + 1000}) {
    const SwapResult result = SwapNow(node(0), "chains/web/0", wrong, "three");
    EXPECT_EQ(result.status().code(), absl::StatusCode::kAborted) << result.status();
  }
  EXPECT_EQ(MustRead(1, "chains/web/0")->value, "two");
  EXPECT_EQ(MustRead(1, "chains/web/0")->version, two);
}

TEST_P(MetadataStoreContract, DoesNotSwapARecordThatDoesNotExist) {
  EXPECT_EQ(SwapNow(node(0), "nodes/a", 7, "x").status().code(), absl::StatusCode::kAborted);
  EXPECT_FALSE(MustRead(0, "nodes/a").has_value());
}

TEST_P(MetadataStoreContract, VersionsRiseAcrossADeletion) {
  const uint64_t before = MustSwap(0, "nodes/a", 0, "one");
  world_->Delete("nodes/a");
  EXPECT_FALSE(MustRead(0, "nodes/a").has_value());
  EXPECT_EQ(SwapNow(node(0), "nodes/a", before, "late").status().code(),
            absl::StatusCode::kAborted);
  EXPECT_GT(MustSwap(0, "nodes/a", 0, "two"), before);
}

TEST_P(MetadataStoreContract, ListsWhatStartsWithThePrefix) {
  std::map<std::string, uint64_t> versions;
  for (const char* key :
       {"chains/b/1", "chains/a_%*/0", "chains/", "chains0", "chain", "chainz/a"}) {
    versions[key] = MustSwap(0, key, 0, std::string("value of ") + key);
  }
  MustSwap(0, "chains/gone", 0, "");
  world_->Delete("chains/gone");
  const auto list = ListNow(node(1), "chains/");
  ASSERT_TRUE(list.ok()) << list.status();
  std::map<std::string, uint64_t> listed;
  for (const MetadataRecord& record : *list) {
    listed[record.key] = record.version;
    EXPECT_EQ(record.value, "value of " + record.key);
  }
  for (const char* other : {"chains0", "chain", "chainz/a"}) versions.erase(other);
  EXPECT_EQ(listed, versions);
  EXPECT_EQ(ListNow(node(1), "chains/a_%")->size(), 1u);
  EXPECT_EQ(ListNow(node(1), "none/")->size(), 0u);
}

TEST_P(MetadataStoreContract, CallsBackOnAnotherStackThanTheCall) {
  const std::thread::id caller = std::this_thread::get_id();
  Waiter<std::thread::id> read, listed, swapped;
  node(0).Read("a", [&](auto) { read.Set(std::this_thread::get_id()); });
  EXPECT_NE(read.Get(), caller);
  node(0).List("a", [&](auto) { listed.Set(std::this_thread::get_id()); });
  EXPECT_NE(listed.Get(), caller);
  node(0).CompareAndSwap("a", 0, "x", [&](auto) { swapped.Set(std::this_thread::get_id()); });
  EXPECT_NE(swapped.Get(), caller);
}

TEST_P(MetadataStoreContract, CallsMayBeMadeFromACallback) {
  Waiter<SwapResult> result;
  node(0).CompareAndSwap("a", 0, "one", [&](SwapResult first) {
    ASSERT_TRUE(first.ok());
    node(0).CompareAndSwap("a", *first, "two", [&](SwapResult second) { result.Set(second); });
  });
  EXPECT_TRUE(result.Get().ok());
  EXPECT_EQ(MustRead(1, "a")->value, "two");
}

// Two nodes and many swaps at a time on one counter: what was reported is what happened.
TEST_P(MetadataStoreContract, EverySwapReportedOkTookEffectOnce) {
  constexpr int kEach = 40;
  std::vector<std::thread> threads;
  MustSwap(0, "counter", 0, "0");
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([this, t] {
      for (int applied = 0; applied < kEach;) {
        const auto record = ReadNow(node(t % 2), "counter");
        ASSERT_TRUE(record.ok()) << record.status();
        const int next = std::stoi((*record)->value) + 1;
        const SwapResult swapped =
            SwapNow(node(t % 2), "counter", (*record)->version, std::to_string(next));
        if (swapped.ok()) applied++;
        ASSERT_TRUE(swapped.ok() || absl::IsAborted(swapped.status())) << swapped.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(MustRead(0, "counter")->value, std::to_string(4 * kEach));
}

TEST_P(MetadataStoreContract, AWatchFirstTellsWhatIsThere) {
  const uint64_t version = MustSwap(0, "nodes/a", 0, "one");
  MustSwap(0, "streams/web", 0, "not asked for");
  Watched watched(node(1), "nodes/");
  EXPECT_EQ(watched.WaitFor("nodes/a", version), "one");
  EXPECT_EQ(watched.history().size(), 1u);
}

TEST_P(MetadataStoreContract, AWatchFirstTellsThatNothingIsThere) {
  MustSwap(0, "streams/web", 0, "not asked for");
  Watched watched(node(0), "nodes/");
  watched.WaitForCall();
  EXPECT_EQ(watched.history().size(), 0u);
}

TEST_P(MetadataStoreContract, ASecondWatchIsToldWhatIsThereToo) {
  const uint64_t version = MustSwap(0, "nodes/a", 0, "one");
  Watched first(node(0), "nodes/");
  first.WaitFor("nodes/a", version);
  Watched second(node(0), "nodes/"), other(node(0), "streams/");
  EXPECT_EQ(second.WaitFor("nodes/a", version), "one");
  other.WaitForCall();
  EXPECT_EQ(first.history().size(), 1u);
}

TEST_P(MetadataStoreContract, AWatchTellsOfOwnAndOthersChanges) {
  Watched here(node(0), "nodes/"), there(node(1), "nodes/");
  here.WaitForCall();
  uint64_t version = MustSwap(0, "nodes/a", 0, "one");
  EXPECT_EQ(here.WaitFor("nodes/a", version), "one");
  EXPECT_EQ(there.WaitFor("nodes/a", version), "one");
  version = MustSwap(1, "nodes/a", version, "two");
  EXPECT_EQ(here.WaitFor("nodes/a", version), "two");
  EXPECT_EQ(there.WaitFor("nodes/a", version), "two");
}

TEST_P(MetadataStoreContract, AWatchTellsOfADeletion) {
  Watched watched(node(0), "nodes/");
  watched.WaitFor("nodes/a", MustSwap(0, "nodes/a", 0, "one"));
  world_->Delete("nodes/a");
  EXPECT_EQ(watched.WaitFor("nodes/a", 0), "");
  EXPECT_EQ(watched.WaitFor("nodes/a", MustSwap(1, "nodes/a", 0, "back")), "back");
}

TEST_P(MetadataStoreContract, AWatchNeverMissesTheLatestOfAKeyNorGoesBack) {
  Watched watched(node(0), "n/");
  std::map<std::string, uint64_t> versions;
  for (int i = 0; i < 60; i++) {
    uint64_t& version = versions["n/" + std::to_string(i % 3)];
    version = MustSwap(i % 2, "n/" + std::to_string(i % 3), version, std::to_string(i));
  }
  for (const auto& [key, version] : versions) watched.WaitFor(key, version);
  std::map<std::string, uint64_t> seen;
  for (const MetadataRecord& record : watched.history()) {
    EXPECT_GT(record.version, seen[record.key]);
    seen[record.key] = record.version;
  }
  EXPECT_EQ(seen, versions);
}

TEST_P(MetadataStoreContract, SaysOfASwapThatFoundItLockedThatItIsSurelyNotApplied) {
  const uint64_t version = MustSwap(0, "chains/web/0", 0, "one");
  if (!world_->SetLocked(true)) GTEST_SKIP() << "nobody can lock this store";
  EXPECT_EQ(MustRead(0, "chains/web/0")->version, version);  // a read proves nothing
  EXPECT_EQ(SwapNow(node(0), "chains/web/0", version, "two").status().code(),
            absl::StatusCode::kCancelled);
  // Nor is it refused for its version, which is the proof that writes are taken.
  EXPECT_EQ(SwapNow(node(0), "chains/web/0", version + 7, "two").status().code(),
            absl::StatusCode::kCancelled);
  // Many at once: none is left unknown, though most do not come to be tried.
  std::vector<std::shared_ptr<Waiter<SwapResult>>> swaps;
  for (int i = 0; i < 30; i++) {
    swaps.push_back(std::make_shared<Waiter<SwapResult>>());
    node(0).CompareAndSwap("chains/web/0", version, "many",
                           [swap = swaps.back()](SwapResult result) { swap->Set(result); });
  }
  for (const auto& swap : swaps) EXPECT_TRUE(absl::IsCancelled(swap->Get().status()));
  world_->SetLocked(false);
  EXPECT_EQ(SwapNow(node(0), "chains/web/0", version + 7, "two").status().code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(MustRead(1, "chains/web/0")->value, "one");
  MustSwap(0, "chains/web/0", version, "two");
}

TEST_P(MetadataStoreContract, NoCallbackRunsAfterTheStoreIsGone) {
  auto gone = std::make_shared<std::atomic<bool>>(false);
  auto late = std::make_shared<std::atomic<int>>(0);
  const auto note = [gone, late](auto) {
    if (*gone) (*late)++;
  };
  node(0).Watch("a", note);
  for (int i = 0; i < 50; i++) {
    node(0).Read("a", note);
    node(0).CompareAndSwap("a" + std::to_string(i), 0, "x", note);
  }
  world_->DestroyNode(0);
  *gone = true;
  // The other node still works, and its news come after whatever the first had under way.
  Watched watched(node(1), "a");
  watched.WaitFor("a", MustSwap(1, "a", 0, "y"));
  EXPECT_EQ(*late, 0);
}

}  // namespace forebay
