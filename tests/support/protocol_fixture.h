// Words for tests of the protocol cores: one partition, replicas a, b, c in three zones.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "block/block.h"
#include "replication/core/message.h"
#include "replication/core/outbox.h"

namespace forebay {

inline const PartitionId kPartition{StreamId("web"), 0};

inline SegmentKey Key(uint64_t epoch) { return {kPartition, Epoch(epoch)}; }

inline Replica ReplicaOf(const std::string& node, uint64_t incarnation = 1) {
  return {NodeId(node), Incarnation(incarnation), ZoneId("zone-" + node)};
}

inline NodeRecord RecordOf(const std::string& node, uint64_t incarnation = 1, uint64_t life = 1) {
  return {NodeId(node),      ZoneId("zone-" + node),
          node + ":1",       Incarnation(incarnation),
          ProcessLife(life), false};
}

inline Segment OpenSegmentOf(uint64_t epoch, uint64_t base,
                             std::vector<Replica> replicas = {ReplicaOf("a"), ReplicaOf("b"),
                                                              ReplicaOf("c")}) {
  return {Epoch(epoch),        Offset(base), std::nullopt,  {2, 2},
          std::move(replicas), NodeId("a"),  ProcessLife(1)};
}

// A block of `count` events of a producer, from a sequence on.
inline Block BlockOf(uint64_t sequence, uint32_t count = 1, const std::string& producer = "p",
                     uint64_t epoch = 0, const std::string& payload = "x") {
  std::vector<Event> events;
  for (uint32_t i = 0; i < count; i++) {
    Event& event = events.emplace_back();
    event.id = producer + std::to_string(sequence + i);
    event.payload = payload;
  }
  return *EncodeBlock({ProducerId(producer), epoch, sequence}, events, Codec::kNone);
}

// The messages of one type that an outbox holds for a node.
template <typename T>
std::vector<T> Sent(const Outbox& outbox, const std::string& to) {
  std::vector<T> found;
  for (const auto& [node, message] : outbox.messages) {
    const T* one = std::get_if<T>(&message);
    if (one != nullptr && node.value() == to) found.push_back(*one);
  }
  return found;
}

}  // namespace forebay
