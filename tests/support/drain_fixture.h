// One partition, one downstream in memory, and words for what happens to them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "drain/drain.h"
#include "support/drain_world.h"
#include "support/memory_sink.h"
#include "support/sim_executor.h"

namespace forebay {

using Fault = MemoryDownstream::Fault;

class DrainTest : public testing::Test {
 protected:
  SinkBinding Binding(const std::string& name = "db") {
    SinkBinding binding;
    binding.name = SinkId(name);
    binding.stream = partition_.stream;
    binding.sink = std::make_shared<MemorySink>(downstream_);
    binding.batch_wait_max = absl::Milliseconds(50);
    return binding;
  }
  DrainNode Node() { return DrainNode(simulation_, log_, {Binding()}); }

  void Commit(DrainNode& node, uint64_t epoch, uint64_t committed) {
    node.drain->OnCommitted(partition_, Epoch(epoch), Offset(committed));
  }
  bool Delivers(uint64_t next, absl::Duration limit = absl::Minutes(10)) {
    const bool reached = simulation_.RunUntilTrue(
        [&] { return downstream_->ProgressOf(partition_).next == Offset(next); }, limit);
    simulation_.RunFor(absl::Milliseconds(1));  // the answer goes back to the drain
    return reached;
  }
  // Offset 0, 1, 2, ... each once, each with its own event; `missing` were skipped.
  void ExpectExactlyOnce(uint64_t count, std::vector<uint64_t> missing = {}) {
    std::vector<std::string> got, want;
    for (const auto& row : downstream_->Rows(partition_)) {
      got.push_back(row.event.id);
      EXPECT_EQ(std::to_string(row.offset.value()), row.event.id);
    }
    for (uint64_t i = 0; i < count; i++) {
      if (std::find(missing.begin(), missing.end(), i) == missing.end()) {
        want.push_back(std::to_string(i));
      }
    }
    EXPECT_EQ(got, want);
  }

  const PartitionId partition_{StreamId("web"), 3};
  Simulation simulation_;
  DrainLog log_;
  std::shared_ptr<MemoryDownstream> downstream_ = std::make_shared<MemoryDownstream>();
};

}  // namespace forebay
