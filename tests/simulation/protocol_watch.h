// What the nodes' protocol is doing at the moment, told from messages, swaps and deliveries alone;
// and how often which fault met which of these states.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "metadata/metadata_store.h"
#include "records/records.h"
#include "replication/core/message.h"
#include "simulation/fault.h"
#include "support/sim_executor.h"

namespace forebay {

// How often a fault met a node (or a link of it) in a state. Adds up over worlds.
class FaultCoverage {
 public:
  void Count(Fault fault, ProtocolState state, uint64_t times = 1) {
    cells_[static_cast<size_t>(fault)][static_cast<size_t>(state)] += times;
  }
  uint64_t At(Fault fault, ProtocolState state) const {
    return cells_[static_cast<size_t>(fault)][static_cast<size_t>(state)];
  }
  void Add(const FaultCoverage& other);
  // A line for each fault, a column for each state.
  std::string Table() const;
  // "fault@state" of cells that a normal run has to reach and did not.
  std::vector<std::string> Missing() const;

 private:
  std::array<std::array<uint64_t, static_cast<size_t>(ProtocolState::kCount)>,
             static_cast<size_t>(Fault::kCount)>
      cells_{};
};

// Confined to the simulation's thread.
class ProtocolWatch {
 public:
  using ChainOf = std::function<const Chain*(const PartitionId&)>;

  ProtocolWatch(Simulation& simulation, ChainOf chain_of)
      : simulation_(simulation), chain_of_(std::move(chain_of)) {}

  // What was seen.
  void OnSent(const NodeId& from, const NodeId& to, const Message& message);
  void OnDelivery(const NodeId& node) { Saw(ProtocolState::kDraining, node); }
  // A swap of a chain begins. Call what is returned when it has ended.
  std::function<void()> OnSwap(const NodeId& node, const std::string& key,
                               const std::string& value);
  // The process is gone, and with it all that it had under way.
  void Forget(const NodeId& node);

  bool Is(ProtocolState state, const NodeId& node) const;
  std::vector<NodeId> NodesIn(ProtocolState state) const;
  // Calls it, once, as soon as some node is in the state.
  void WaitFor(ProtocolState state, std::function<void()> then) {
    waiting_.emplace(state, std::move(then));
  }

 private:
  using Key = std::pair<ProtocolState, NodeId>;

  void Saw(ProtocolState state, const NodeId& node);
  void Wake(ProtocolState state);
  std::optional<ProtocolState> StateOf(const Message& message) const;

  Simulation& simulation_;
  const ChainOf chain_of_;
  std::map<Key, absl::Time> seen_;
  // Swaps not answered yet, each by the life of a node.
  std::map<Key, std::multiset<NodeId>> under_way_;
  std::map<NodeId, uint64_t> lives_;
  std::multimap<ProtocolState, std::function<void()>> waiting_;
};

// A node's metadata store, with its swaps told to the watch.
class WatchedMetadata final : public MetadataStore {
 public:
  WatchedMetadata(MetadataStore& inner, ProtocolWatch& watch, NodeId node)
      : inner_(inner), watch_(watch), node_(std::move(node)) {}
  void Read(std::string key, ReadDone done) override {
    inner_.Read(std::move(key), std::move(done));
  }
  void List(std::string prefix, ListDone done) override {
    inner_.List(std::move(prefix), std::move(done));
  }
  void CompareAndSwap(std::string key, uint64_t version, std::string value,
                      SwapDone done) override {
    auto ended = watch_.OnSwap(node_, key, value);
    inner_.CompareAndSwap(
        std::move(key), version, std::move(value),
        [ended = std::move(ended), done = std::move(done)](SwapResult result) mutable {
          ended();
          done(std::move(result));
        });
  }
  void Watch(std::string prefix, Changed changed) override {
    inner_.Watch(std::move(prefix), std::move(changed));
  }

 private:
  MetadataStore& inner_;
  ProtocolWatch& watch_;
  const NodeId node_;
};

}  // namespace forebay
