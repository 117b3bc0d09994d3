// The contract of a sink that holds progress (include/forebay/sink.h, docs/SINKS.md), as a fixture.
// The tests are in sink_contract_test.cc; each kind of sink gives a world to run them in.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "block/block.h"
#include "support/drain_world.h"
#include "support/sink_world.h"

namespace forebay {

// A batch that owns its events.
struct OwnedBatch {
  std::vector<Event> events;
  SinkBatch head;

  operator const SinkBatch&() {  // NOLINT(google-explicit-constructor)
    head.events = events;
    head.digest = DigestOf(events);
    return head;
  }
};

inline OwnedBatch BatchOf(const PartitionId& partition, uint64_t epoch, uint64_t first,
                          std::vector<Event> events) {
  OwnedBatch batch;
  batch.head.sink = kSinkName;
  batch.head.partition = partition;
  batch.head.epoch = Epoch(epoch);
  batch.head.first = Offset(first);
  batch.head.last = Offset(first + events.size() - 1);
  batch.events = std::move(events);
  return batch;
}

// Events named by their offsets, [first, end).
inline OwnedBatch BatchOf(const PartitionId& partition, uint64_t epoch, uint64_t first,
                          uint64_t end) {
  std::vector<Event> events;
  for (uint64_t i = first; i < end; i++) events.push_back(MakeEvent(std::to_string(i)));
  return BatchOf(partition, epoch, first, std::move(events));
}

// As only blocks hold it that were stored before nodes checked them.
inline void ExpectTextThatIsNotUtf8IsPoison(Sink& sink, SinkWorld& world,
                                            const PartitionId& partition) {
  ASSERT_TRUE(sink.Open(partition, Epoch(1)).ok());
  for (int field = 0; field < 4; field++) {
    OwnedBatch batch = BatchOf(partition, 1, 0, 5);
    Event& event = batch.events[3];
    if (field == 0) event.id = "\xFF";
    if (field == 1) event.key = "a\xC3";
    if (field == 2) event.type = "\xED\xA0\x80";
    if (field == 3) event.attributes = {{"a", "\xC0\xAF"}};
    const absl::Status status = sink.Deliver(batch);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_NE(status.message().find("is not UTF-8"), status.message().npos) << status;
  }
  EXPECT_EQ(world.Rows(partition).size(), 0u);
  EXPECT_TRUE(sink.Deliver(BatchOf(partition, 1, 0, 5)).ok());
}

// Has the effect, then loses the answer; or refuses without effect; by chance.
class UnreliableSink final : public Sink {
 public:
  UnreliableSink(std::shared_ptr<Sink> sink, uint64_t seed)
      : sink_(std::move(sink)), random_(seed) {}

  absl::StatusOr<SinkProgress> Open(const PartitionId& partition, Epoch epoch) override {
    if (random_.Chance(0.1)) return absl::UnavailableError("refused");
    auto progress = sink_->Open(partition, epoch);
    if (random_.Chance(0.1)) return absl::UnavailableError("the answer was lost");
    return progress;
  }
  absl::Status Deliver(const SinkBatch& batch) override {
    if (random_.Chance(0.2)) return absl::UnavailableError("refused");
    absl::Status status = sink_->Deliver(batch);
    if (random_.Chance(0.3)) return absl::DeadlineExceededError("the answer was lost");
    return status;
  }
  absl::Status Skip(const SinkBatch& batch) override { return sink_->Skip(batch); }
  bool HoldsProgress() const override { return sink_->HoldsProgress(); }

 private:
  std::shared_ptr<Sink> sink_;
  Random random_;
};

}  // namespace forebay
