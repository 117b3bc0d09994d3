#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "metadata/etcd/etcd_metadata_store.h"
#include "metadata/etcd/open_metadata_store.h"
#include "metadata_store_contract.h"
#include "runtime/random.h"
#include "support/etcd_cluster.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

// One cluster for all tests of this program, each with its own key prefix.
class Etcd : public ::testing::Environment {
 public:
  void SetUp() override {
    why_not_ = EtcdCluster::WhyNot();
    if (why_not_.has_value()) return;
    cluster_ = EtcdCluster::Start({});
    ASSERT_NE(cluster_, nullptr) << "etcd did not start";
  }
  void TearDown() override { cluster_.reset(); }

  std::optional<std::string> why_not_;
  std::unique_ptr<EtcdCluster> cluster_;
};

Etcd* const etcd = static_cast<Etcd*>(::testing::AddGlobalTestEnvironment(new Etcd));

// A store whose first choice is that member. A patient one waits longer than a busy machine needs.
constexpr absl::Duration kPatient = absl::Seconds(10), kHurried = absl::Milliseconds(400);
std::unique_ptr<EtcdMetadataStore> StoreAt(int member, const std::string& prefix,
                                           absl::Duration patience = kPatient,
                                           absl::Duration timeout = absl::Seconds(30)) {
  EtcdOptions options;
  options.endpoints = etcd->cluster_->endpoints();
  std::rotate(options.endpoints.begin(), options.endpoints.begin() + member,
              options.endpoints.end());
  options.key_prefix = prefix;
  options.patience = patience;
  options.timeout = timeout;
  auto store = EtcdMetadataStore::Create(options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// Settles what is unknown: swaps until one is known to have taken effect.
uint64_t SwapUntilKnown(MetadataStore& store, const std::string& key, const std::string& value) {
  while (true) {
    const auto record = ReadNow(store, key);
    if (!record.ok()) continue;
    const uint64_t version = record->has_value() ? (*record)->version : 0;
    const SwapResult result = SwapNow(store, key, version, value);
    if (result.ok()) return *result;
  }
}

std::string NewPrefix() { return Random::FromSystem().HexId() + "/"; }

class EtcdWorld final : public MetadataWorld {
 public:
  MetadataStore& node(int index) override { return *nodes_[static_cast<size_t>(index)]; }
  void DestroyNode(int index) override { nodes_[static_cast<size_t>(index)].reset(); }
  void Delete(const std::string& key) override { etcd->cluster_->Delete(prefix_ + key); }

 private:
  const std::string prefix_ = NewPrefix();
  std::array<std::unique_ptr<EtcdMetadataStore>, 2> nodes_ = {StoreAt(0, prefix_),
                                                              StoreAt(1, prefix_)};
};

std::unique_ptr<MetadataWorld> MakeEtcdWorld() {
  if (etcd->cluster_ == nullptr) return nullptr;
  return std::make_unique<EtcdWorld>();
}

INSTANTIATE_TEST_SUITE_P(Etcd, MetadataStoreContract, ::testing::Values(MakeEtcdWorld));

class EtcdMetadata : public ::testing::Test {
 protected:
  void SetUp() override {
    if (etcd->why_not_.has_value()) GTEST_SKIP() << *etcd->why_not_;
    ASSERT_NE(etcd->cluster_, nullptr);
  }
  EtcdCluster& cluster() { return *etcd->cluster_; }

  const std::string prefix_ = NewPrefix();
};

// Appends marks to one record by compare-and-swap, each mark once, and notes what was reported.
class Writer {
 public:
  Writer(MetadataStore& store, std::string name) : store_(store), name_(std::move(name)) {}

  // One mark, reported or settled.
  void Append() {
    std::vector<std::string> unsettled;
    while (true) {
      const auto record = ReadNow(store_, "log");
      if (!record.ok()) continue;
      const uint64_t version = record->has_value() ? (*record)->version : 0;
      const std::string before = record->has_value() ? (*record)->value : "";
      const std::string mark = absl::StrCat(name_, next_mark_++);
      const SwapResult result = SwapNow(store_, "log", version, before + mark + ";");
      if (absl::IsAborted(result.status())) refused_.insert(mark);
      if (!result.ok() && !absl::IsAborted(result.status())) unsettled.push_back(mark);
      if (!result.ok()) continue;
      applied_.insert(mark);
      // This swap settles those before it: they took effect before it or never will.
      const std::vector<std::string> there = absl::StrSplit(before, ';');
      for (const std::string& other : unsettled) {
        unknown_++;
        (std::count(there.begin(), there.end(), other) > 0 ? applied_ : refused_).insert(other);
      }
      return;
    }
  }

  const std::set<std::string>& applied() const { return applied_; }
  const std::set<std::string>& refused() const { return refused_; }
  int unknown() const { return unknown_; }

 private:
  MetadataStore& store_;
  const std::string name_;
  int next_mark_ = 0, unknown_ = 0;
  std::set<std::string> applied_, refused_;
};

// H2 and roll-settles: what the store says of a swap is true while its leader dies.
TEST_F(EtcdMetadata, SwapsAreReportedTrulyWhileTheLeaderIsKilled) {
  constexpr int kBefore = 60, kAfter = 60;
  std::vector<std::unique_ptr<EtcdMetadataStore>> stores;
  std::vector<std::unique_ptr<Writer>> writers;
  for (int i = 0; i < 4; i++) {
    stores.push_back(StoreAt(i % 3, prefix_, kHurried, absl::Seconds(2)));
    writers.push_back(std::make_unique<Writer>(*stores.back(), std::string(1, 'a' + i)));
  }
  Waiter<bool> time_to_kill;
  std::atomic<int> appended = 0, goal = kBefore;
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  for (const auto& writer : writers) {
    threads.emplace_back([&, w = writer.get()] {
      while (!over) {
        w->Append();
        const int now = ++appended;
        if (now == kBefore) time_to_kill.Set(true);
        if (now >= goal && now > kBefore) over = true;
      }
    });
    goal = 1'000'000;
  }
  time_to_kill.Get();
  const int leader = cluster().WaitForLeader();
  cluster().Kill(leader);
  goal = appended + kAfter;
  for (std::thread& thread : threads) thread.join();
  cluster().StartAgain(leader);

  const auto record = ReadNow(*StoreAt(0, prefix_), "log");
  ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
  const std::vector<std::string> there = absl::StrSplit((*record)->value, ';', absl::SkipEmpty());
  std::set<std::string> applied;
  int unknown = 0;
  for (const auto& writer : writers) {
    applied.insert(writer->applied().begin(), writer->applied().end());
    unknown += writer->unknown();
    for (const std::string& mark : writer->refused()) {
      EXPECT_EQ(std::count(there.begin(), there.end(), mark), 0) << mark << " was refused";
    }
  }
  EXPECT_EQ(there.size(), applied.size());
  EXPECT_EQ(std::set<std::string>(there.begin(), there.end()), applied);
  RecordProperty("unknown", unknown);
}

// H7: a frozen member accepts connections and answers nothing.
TEST_F(EtcdMetadata, LeavesAFrozenMember) {
  const int leader = cluster().WaitForLeader();
  const int frozen = (leader + 1) % 3;
  const auto store = StoreAt(frozen, prefix_, kHurried), other = StoreAt(leader, prefix_);
  Watched watched(*store, "");
  watched.WaitFor("a", SwapUntilKnown(*store, "a", "before"));
  cluster().Freeze(frozen);
  const uint64_t version = SwapUntilKnown(*other, "a", "meanwhile");
  EXPECT_EQ(watched.WaitFor("a", version), "meanwhile");
  const auto record = ReadNow(*store, "a");
  ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
  EXPECT_EQ((*record)->value, "meanwhile");
  EXPECT_GT(SwapUntilKnown(*store, "a", "after"), version);
  cluster().Thaw(frozen);
}

// roll-settles. A store that sent such a swap again would report something known.
TEST_F(EtcdMetadata, ASwapSentToAFrozenMemberIsUnknownAndAnotherSettlesIt) {
  const int frozen = (cluster().WaitForLeader() + 1) % 3;
  const auto store = StoreAt(frozen, prefix_, kHurried), other = StoreAt(frozen, prefix_);
  const uint64_t first = SwapUntilKnown(*other, "a", "first");
  ASSERT_TRUE(ReadNow(*store, "a").ok());
  cluster().Freeze(frozen);
  const SwapResult unknown = SwapNow(*store, "a", first, "unknown");
  EXPECT_FALSE(unknown.ok());
  EXPECT_FALSE(absl::IsAborted(unknown.status())) << unknown.status();
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("outcome unknown"));
  const uint64_t second = SwapUntilKnown(*store, "a", "second");
  // What the frozen member has received comes too late.
  cluster().Thaw(frozen);
  const auto record = ReadNow(*other, "a");
  ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
  EXPECT_EQ((*record)->value, "second");
  EXPECT_EQ((*record)->version, second);
}

TEST_F(EtcdMetadata, AWatchTellsWhatItMissedWhileItsMemberWasDown) {
  const int killed = (cluster().WaitForLeader() + 1) % 3;
  const auto store = StoreAt(killed, prefix_, kHurried);
  const auto other = StoreAt((killed + 1) % 3, prefix_);
  Watched watched(*store, "");
  watched.WaitFor("gone", SwapUntilKnown(*other, "gone", "x"));
  cluster().Kill(killed);
  const uint64_t version = SwapUntilKnown(*other, "new", "y");
  cluster().Delete(prefix_ + "gone");
  EXPECT_EQ(watched.WaitFor("new", version), "y");
  EXPECT_EQ(watched.WaitFor("gone", 0), "");
  cluster().StartAgain(killed);
}

TEST_F(EtcdMetadata, PrefixesKeepFleetsApart) {
  const auto one = StoreAt(0, prefix_ + "one/"), two = StoreAt(0, prefix_ + "two/");
  ASSERT_TRUE(SwapNow(*one, "a", 0, "x").ok());
  EXPECT_EQ(ListNow(*two, "")->size(), 0u);
  EXPECT_EQ(ListNow(*one, "")->at(0).key, "a");
}

TEST(EtcdMetadataWithoutEtcd, CallsEndWhenNobodyAnswers) {
  EtcdOptions options;
  options.endpoints = {"127.0.0.1:1", "127.0.0.1:2"};
  options.timeout = absl::Milliseconds(300);
  const auto store = EtcdMetadataStore::Create(options);
  ASSERT_TRUE(store.ok());
  const absl::Status read = ReadNow(**store, "a").status();
  EXPECT_EQ(read.code(), absl::StatusCode::kDeadlineExceeded) << read;
  EXPECT_THAT(std::string(read.message()), HasSubstr("127.0.0.1:"));
  const absl::Status swap = SwapNow(**store, "a", 0, "x").status();
  EXPECT_FALSE(swap.ok() || absl::IsAborted(swap)) << swap;
}

TEST(OpenMetadataStore, SaysWhatIsWrongWithASetting) {
  for (const char* where :
       {"", "etcd:", "etcd:http://host:2379", "etcd:host", "etcd::1", "zk:host:1", "/tmp/file"}) {
    const auto store = OpenMetadataStore(where);
    EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument) << where;
    EXPECT_THAT(std::string(store.status().message()), HasSubstr("etcd")) << where;
  }
  EXPECT_EQ(OpenMetadataStore("sqlite:/no/such/folder/m.db").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(OpenMetadataStore("etcd:127.0.0.1:1,127.0.0.1:2").ok());
}

}  // namespace
}  // namespace forebay
