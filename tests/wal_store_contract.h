// The contract of WalStore, as tests that run on each implementation. A program that links
// wal_store_contract.cc instantiates WalStoreContract with a way to make a WalHarness.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wal/wal_store.h"

namespace forebay {

// One disk, and at most one store open on it.
class WalHarness {
 public:
  virtual ~WalHarness() = default;

  virtual absl::Status Open(const NodeId& node, Incarnation new_incarnation) = 0;
  virtual WalStore& store() = 0;
  // Ends the store in order.
  virtual void Close() = 0;
  // Ends the store, and with it everything that was not synced.
  virtual void PowerCut() = 0;
  // Syncs hang until they are let go.
  virtual void HoldSyncs() = 0;
  virtual void LetSyncsGo() = 0;
  virtual void FailNextSync() = 0;
  // The store is closed. The stored bytes of this block are no longer what they were.
  virtual void Damage(const SegmentKey& key, const StoredBlock& stored) = 0;
  // The store is closed. Nothing is left on the disk.
  virtual void Wipe() = 0;
};

// For tests of any store.
inline SegmentKey Key(uint64_t epoch = 1, uint32_t partition = 0) {
  return {{StreamId("orders"), partition}, Epoch(epoch)};
}

// A block of `count` events; `mark` tells it from others.
inline Block MakeBlock(uint64_t mark, uint32_t count = 2, size_t payload_bytes = 100) {
  std::vector<Event> events(count);
  for (uint32_t i = 0; i < count; ++i) {
    events[i].id = std::to_string(mark) + "-" + std::to_string(i);
    events[i].time = absl::UnixEpoch();
    events[i].payload.assign(payload_bytes, static_cast<char>('a' + mark % 26));
  }
  return *EncodeBlock({ProducerId("p"), 0, mark * 1000}, events, Codec::kNone);
}

class WalStoreContract
    : public testing::TestWithParam<std::function<std::unique_ptr<WalHarness>()>> {
 protected:
  WalStoreContract() : harness_(GetParam()()) {}

  void SetUp() override { ASSERT_EQ(harness_->Open(node_, Incarnation(1)), absl::OkStatus()); }

  WalStore& store() { return harness_->store(); }

  // The status of the completion.
  std::future<absl::Status> Start(std::vector<WalWrite> writes) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    std::future<absl::Status> future = promise->get_future();
    store().Write(std::move(writes),
                  [promise](const absl::Status& status) { promise->set_value(status); });
    return future;
  }
  absl::Status Write(std::vector<WalWrite> writes) { return Start(std::move(writes)).get(); }

  absl::Status OpenSegmentAt(const SegmentKey& key, Offset start, std::string snapshot = "empty") {
    return Write({OpenSegment{key, start, std::move(snapshot)}});
  }
  absl::Status Append(const SegmentKey& key, Offset first, const Block& block) {
    return Write({AppendBlock{key, first, block}});
  }
  // Blocks of 2 events each, marked by their first offset.
  void AppendBlocks(const SegmentKey& key, Offset from, int blocks) {
    for (int i = 0; i < blocks; ++i, from = from + 2) {
      ASSERT_EQ(Append(key, from, MakeBlock(from.value())), absl::OkStatus());
    }
  }
  void Reopen(Incarnation new_incarnation = Incarnation(2)) {
    harness_->Close();
    ASSERT_EQ(harness_->Open(node_, new_incarnation), absl::OkStatus());
  }

  // The first offsets of what a read gives, or its error.
  absl::StatusOr<std::vector<uint64_t>> ReadOffsets(const SegmentKey& key, Offset from,
                                                    size_t bytes_max = 1 << 20) {
    absl::StatusOr<std::vector<StoredBlock>> blocks = store().Read(key, from, bytes_max);
    if (!blocks.ok()) return blocks.status();
    std::vector<uint64_t> firsts;
    for (const StoredBlock& stored : *blocks) {
      EXPECT_EQ(stored.block.bytes(), MakeBlock(stored.first.value()).bytes());
      firsts.push_back(stored.first.value());
    }
    return firsts;
  }
  absl::StatusCode ReadCode(const SegmentKey& key, Offset from) {
    return store().Read(key, from, 1 << 20).status().code();
  }
  SegmentExtent ExtentAtOpen(const SegmentKey& key) {
    const auto& segments = store().content_at_open().segments;
    const auto found = segments.find(key);
    return found == segments.end() ? SegmentExtent{} : found->second;
  }

  const NodeId node_{"node-a"};
  const std::unique_ptr<WalHarness> harness_;
};

}  // namespace forebay
