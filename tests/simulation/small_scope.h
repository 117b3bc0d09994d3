// A very small system made of the production cores: one partition, three nodes in three zones, two
// producers with a block each, the first owner and two nodes that may take over. It has no clock:
// each step is one message, one sync, one call or one fault, in any order. For exploring all
// orders.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "records/records.h"
#include "replication/core/owner.h"
#include "replication/core/replica.h"
#include "replication/core/sealer.h"
#include "simulation/small_scope_hash.h"
#include "wal/memory_wal_store.h"

namespace forebay {

struct SmallScope {
  int faults = 2;     // crashes, wipes (at most one) and repeated messages together
  int appends = 3;    // of the two blocks, by anyone to any owner
  int takeovers = 2;  // attempts begun
  int rolls = 1;
};

struct SmallStep {
  enum class Kind : uint8_t {
    kAppend,     // block `index` reaches the owner on `node`
    kDeliver,    // message `index`
    kSync,       // what `node` has written becomes durable
    kTakeOver,   // `node` begins
    kSwap,       // the takeover of `node` changes the chain
    kBeginRoll,  // the owner on `node`
    kSwapRoll,
    kSettle,  // the owner on `node` reads that it was replaced
    kCrash,   // `node` loses what was not synced, and starts anew
    kWipe,    // `node` loses its disk as well
    kRepeat,  // message `index` arrives, and will arrive again
  };
  Kind kind;
  uint8_t node = 0;
  uint8_t index = 0;
};

// A value: copies go different ways.
class SmallWorld {
 public:
  explicit SmallWorld(SmallScope left);
  SmallWorld(const SmallWorld& other);

  std::vector<SmallStep> Possible() const;
  void Take(const SmallStep& step);
  // Of what happened before the step.
  std::string Describe(const SmallStep& step) const;
  // Equal for worlds that no further step tells apart.
  uint64_t Key() const;
  // The first promise that broke.
  const std::optional<std::string>& broken() const { return broken_; }
  size_t acknowledged() const { return acknowledged_.size(); }
  size_t segments() const { return chain_.segments.size(); }

 private:
  static constexpr size_t kNodes = 3;

  struct Letter {
    NodeId from, to;
    Message message;
    uint64_t hash;  // of all of it
  };
  // A takeover under way: the core is made again from what it has heard, when the world is copied.
  struct Takeover {
    uint64_t version;
    Chain chain;
    uint64_t request;
    std::vector<NodeRecord> live;
    std::vector<std::pair<NodeId, Message>> heard;
    std::unique_ptr<SealerCore> core;
  };
  struct Node {
    NodeRecord record;
    MemoryWalState disk;
    std::vector<ReplicaCore::Writes> queue;
    std::unique_ptr<ReplicaCore> replica;
    std::unique_ptr<OwnerCore> owner;
    uint64_t owner_version = 0;  // of the chain, as the owner knows it
    std::optional<Chain> roll;   // proposed
    std::optional<Takeover> takeover;
    // Hashes of what its cores have seen. An owner keeps its replicas apart, so only the order of
    // one replica's answers among the owner's own steps counts.
    uint64_t started = 0;
    std::array<uint64_t, kNodes> owner_seen{};
    uint64_t takeover_seen = 0;
  };

  static size_t IndexOfNode(const NodeId& id) { return static_cast<size_t>(id.value()[0] - 'a'); }
  static Takeover Clone(const Takeover& other, const NodeRecord& self);
  void Send(Node& from, Outbox out);
  void Write(Node& node, ReplicaCore::Writes writes);
  void Hear(Node& node, const NodeId& from, const Message& message);
  FetchReply Serve(const Node& node, const FetchRequest& request) const;
  void Finish(Node& node, OwnerOutput out);
  void Own(Node& node, ProducerTable table);
  void Restart(Node& node);
  void Append(Node& node, size_t block);
  void Deliver(size_t index);
  void Sync(Node& node);
  void BeginTakeover(Node& node);
  void SwapTakeover(Node& node);
  Chain RollOf(const Node& node) const;
  void SwapRoll(Node& node);
  std::vector<Replica> Everyone() const;
  // Letters that nobody is there to read any more.
  void DropDeadLetters();
  static void AddKey(const Node& node, ContentHash& hash);
  void OwnerStep(Node& node, uint64_t what);

  void Break(const std::string& how);
  void Check();
  bool Holds(const Replica& replica, const SegmentKey& key, Offset end) const;
  void CheckCopies(const Segment& segment, Offset end);

  SmallScope left_;
  bool wiped_ = false;
  bool took_over_ = false;  // began to, somewhere
  std::array<Node, kNodes> nodes_;
  uint64_t version_ = 1;
  Chain chain_;
  std::vector<Letter> letters_;
  std::map<Ticket, size_t> tickets_;       // which block
  std::map<size_t, Offset> acknowledged_;  // blocks, and where
  std::optional<std::string> broken_;
};

}  // namespace forebay
