#include "simulation/small_scope.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "simulation/describe.h"
#include "simulation/small_scope_hash.h"

namespace forebay {
namespace {

const PartitionId& Partition() {
  static const PartitionId* const kPartition = new PartitionId{StreamId("s"), 0};
  return *kPartition;
}

constexpr absl::Time kNow = absl::UnixEpoch();  // there are no ticks, so it does not matter
constexpr size_t kBlocks = 2;

// Of producer p0 or p1, one event, the first of its sequence.
Block MakeBlock(size_t producer) {
  Event event;
  event.id = absl::StrCat("e", producer);
  return *EncodeBlock({ProducerId(absl::StrCat("p", producer)), 0, 0}, {event}, Codec::kNone);
}

const Block& BlockOf(size_t producer) {
  static const auto* const kMade = new std::vector<Block>{MakeBlock(0), MakeBlock(1)};
  return (*kMade)[producer];
}

NodeRecord RecordOf(size_t node) {
  const std::string name(1, static_cast<char>('a' + node));
  return {NodeId(name), ZoneId(name), name + ":1", Incarnation(1), ProcessLife(1), false};
}

}  // namespace

SmallWorld::SmallWorld(SmallScope left) : left_(left) {
  for (size_t i = 0; i < kNodes; i++) nodes_[i].record = RecordOf(i);
  chain_.segments.push_back(Segment{Epoch(1), Offset(), std::nullopt, QuorumRule(), Everyone(),
                                    nodes_[0].record.id, nodes_[0].record.life});
  for (Node& node : nodes_) Restart(node);
  Own(nodes_[0], ProducerTable());
  // It begins when every replica has opened the segment.
  const auto calm = [](const SmallStep& step) {
    return step.kind == SmallStep::Kind::kDeliver || step.kind == SmallStep::Kind::kSync;
  };
  while (true) {
    const std::vector<SmallStep> steps = Possible();
    const auto next = std::find_if(steps.begin(), steps.end(), calm);
    if (next == steps.end()) break;
    Take(*next);
  }
}

SmallWorld::SmallWorld(const SmallWorld& other)
    : left_(other.left_),
      wiped_(other.wiped_),
      took_over_(other.took_over_),
      version_(other.version_),
      chain_(other.chain_),
      letters_(other.letters_),
      tickets_(other.tickets_),
      acknowledged_(other.acknowledged_),
      broken_(other.broken_) {
  for (size_t i = 0; i < kNodes; i++) {
    const Node& from = other.nodes_[i];
    Node& to = nodes_[i];
    to.record = from.record;
    to.disk = from.disk;
    to.queue = from.queue;
    to.replica = std::make_unique<ReplicaCore>(*from.replica);
    if (from.owner) to.owner = std::make_unique<OwnerCore>(*from.owner);
    to.owner_version = from.owner_version;
    to.roll = from.roll;
    if (from.takeover) to.takeover = Clone(*from.takeover, from.record);
    to.started = from.started;
    to.owner_seen = from.owner_seen;
    to.takeover_seen = from.takeover_seen;
  }
}

SmallWorld::Takeover SmallWorld::Clone(const Takeover& other, const NodeRecord& self) {
  Takeover copy{other.version, other.chain, other.request, other.live, other.heard, nullptr};
  copy.core =
      std::make_unique<SealerCore>(Partition(), copy.version, copy.chain, self, copy.request);
  Outbox sent_before;
  copy.core->Start(copy.live, kNow, sent_before);
  for (const auto& [from, message] : copy.heard) {
    if (const auto* fence = std::get_if<FenceReply>(&message)) {
      copy.core->OnFenceReply(from, *fence, kNow, sent_before);
    } else if (const auto* reply = std::get_if<CopyReply>(&message)) {
      copy.core->OnCopyReply(from, *reply, kNow, sent_before);
    } else if (const auto* fetch = std::get_if<FetchReply>(&message)) {
      copy.core->OnFetchReply(from, *fetch, kNow, sent_before);
    }
  }
  return copy;
}

std::vector<Replica> SmallWorld::Everyone() const {
  std::vector<Replica> replicas;
  for (const Node& node : nodes_) {
    replicas.push_back({node.record.id, node.record.incarnation, node.record.zone});
  }
  return replicas;
}

std::vector<SmallStep> SmallWorld::Possible() const {
  using Kind = SmallStep::Kind;
  std::vector<SmallStep> steps;
  std::set<uint64_t> different;
  for (size_t i = 0; i < letters_.size(); i++) {
    if (!different.insert(letters_[i].hash).second) continue;
    steps.push_back({Kind::kDeliver, 0, static_cast<uint8_t>(i)});
    if (left_.faults > 0) steps.push_back({Kind::kRepeat, 0, static_cast<uint8_t>(i)});
  }
  for (size_t i = 0; i < kNodes; i++) {
    const Node& node = nodes_[i];
    const auto n = static_cast<uint8_t>(i);
    const auto add = [&](Kind kind) { steps.push_back({kind, n, 0}); };
    if (!node.queue.empty()) add(Kind::kSync);
    if (node.owner) {
      // The blocks differ in name only, so that block 0 may come first.
      const size_t blocks = left_.appends == 0 ? 0 : tickets_.empty() ? 1 : kBlocks;
      for (size_t block = 0; block < blocks; block++) {
        steps.push_back({Kind::kAppend, n, static_cast<uint8_t>(block)});
      }
      const bool current = chain_.segments.back().epoch == node.owner->segment().epoch;
      if (!current && !node.roll) add(Kind::kSettle);
      if (left_.rolls > 0 && !node.owner->rolling()) add(Kind::kBeginRoll);
      if (node.roll) add(Kind::kSwapRoll);
    }
    // So do nodes b and c.
    const bool may_begin = (took_over_ ? i > 0 : i == 1) && !node.takeover && !node.owner;
    if (may_begin && left_.takeovers > 0) add(Kind::kTakeOver);
    if (node.takeover && node.takeover->core->phase() == SealerCore::Phase::kReady) {
      add(Kind::kSwap);
    }
    if (left_.faults > 0) add(Kind::kCrash);
    if (left_.faults > 0 && !wiped_) add(Kind::kWipe);
  }
  return steps;
}

void SmallWorld::Take(const SmallStep& step) {
  using Kind = SmallStep::Kind;
  Node& node = nodes_[step.node];
  if (step.kind == Kind::kAppend || step.kind == Kind::kBeginRoll || step.kind == Kind::kSwapRoll) {
    OwnerStep(node, ContentHash()
                        .Add(static_cast<uint64_t>(step.kind))
                        .Add(uint64_t{step.index})
                        .Add(version_)
                        .value());
  }
  switch (step.kind) {
    case Kind::kAppend:
      Append(node, step.index);
      break;
    case Kind::kDeliver:
      Deliver(step.index);
      break;
    case Kind::kRepeat:
      left_.faults--;
      letters_.push_back(letters_[step.index]);
      Deliver(step.index);
      break;
    case Kind::kSync:
      Sync(node);
      break;
    case Kind::kTakeOver:
      BeginTakeover(node);
      break;
    case Kind::kSwap:
      SwapTakeover(node);
      break;
    case Kind::kBeginRoll:
      left_.rolls--;
      node.owner->BeginRoll();
      node.roll = RollOf(node);
      break;
    case Kind::kSwapRoll:
      SwapRoll(node);
      break;
    case Kind::kSettle: {
      OwnerOutput out;
      node.owner->Settle(chain_, out);
      Finish(node, std::move(out));
      node.owner.reset();
      break;
    }
    case Kind::kWipe:
      wiped_ = true;
      node.disk = MemoryWalState();
      node.record.incarnation = Incarnation(2);
      [[fallthrough]];
    case Kind::kCrash:
      left_.faults--;
      node.record.life = ProcessLife(node.record.life.value() + 1);
      Restart(node);
      break;
  }
  DropDeadLetters();
  Check();
}

void SmallWorld::Append(Node& node, size_t block) {
  left_.appends--;
  const Ticket ticket = tickets_.size() + 1;
  tickets_[ticket] = block;
  OwnerOutput out;
  node.owner->Append(BlockOf(block), ticket, kNow, out);
  node.owner->MirrorToAll(kNow, out);
  Finish(node, std::move(out));
}

void SmallWorld::Deliver(size_t index) {
  const Letter letter = letters_[index];
  letters_.erase(letters_.begin() + static_cast<std::ptrdiff_t>(index));
  Hear(nodes_[IndexOfNode(letter.to)], letter.from, letter.message);
}

void SmallWorld::Sync(Node& node) {
  Outbox out;
  for (const ReplicaCore::Writes& writes : std::exchange(node.queue, {})) {
    for (const WalWrite& write : writes) node.disk.Apply(write);
    node.replica->OnDurable(out);
  }
  Send(node, std::move(out));
}

void SmallWorld::BeginTakeover(Node& node) {
  left_.takeovers--;
  took_over_ = true;
  node.takeover_seen = version_;
  node.takeover =
      Takeover{version_, chain_, uint64_t{IndexOfNode(node.record.id) + 1} << 40, {}, {}, nullptr};
  for (const Node& one : nodes_) node.takeover->live.push_back(one.record);
  node.takeover->core = std::make_unique<SealerCore>(Partition(), version_, chain_, node.record,
                                                     node.takeover->request);
  Outbox out;
  node.takeover->core->Start(node.takeover->live, kNow, out);
  Send(node, std::move(out));
}

void SmallWorld::OwnerStep(Node& node, uint64_t what) {
  for (uint64_t& seen : node.owner_seen) seen = ContentHash().Add(seen).Add(what).value();
}

void SmallWorld::DropDeadLetters() {
  std::erase_if(letters_, [&](const Letter& letter) {
    const Node& to = nodes_[IndexOfNode(letter.to)];
    if (std::holds_alternative<MirrorReply>(letter.message)) return to.owner == nullptr;
    const bool to_sealer = std::holds_alternative<FenceReply>(letter.message) ||
                           std::holds_alternative<CopyReply>(letter.message) ||
                           std::holds_alternative<FetchReply>(letter.message);
    return to_sealer && !to.takeover;
  });
}

void SmallWorld::Restart(Node& node) {
  node.queue.clear();
  node.replica =
      std::make_unique<ReplicaCore>(node.record.id, node.record.incarnation, node.disk.Content());
  node.owner.reset();
  node.roll.reset();
  node.takeover.reset();
  node.started = ContentHash().Add(node.disk).Add(node.record.incarnation).value();
  node.owner_seen = {};
  node.takeover_seen = 0;
}

void SmallWorld::Send(Node& from, Outbox out) {
  std::vector<Message> own;
  for (auto& [to, message] : out.messages) {
    if (to == from.record.id) {
      own.push_back(std::move(message));
      continue;
    }
    const uint64_t hash =
        ContentHash().Add(from.record.id.value()).Add(to.value()).Add(message).value();
    letters_.push_back({from.record.id, to, std::move(message), hash});
  }
  // A node hears itself at once, as it does in production.
  for (const Message& message : own) Hear(from, from.record.id, message);
}

void SmallWorld::Write(Node& node, ReplicaCore::Writes writes) {
  if (!writes.empty()) node.queue.push_back(std::move(writes));
}

void SmallWorld::Hear(Node& node, const NodeId& from, const Message& message) {
  const uint64_t heard = ContentHash().Add(from.value()).Add(message).value();
  Outbox out;
  if (const auto* mirror = std::get_if<MirrorRequest>(&message)) {
    Write(node, node.replica->OnMirror(from, *mirror, out));
  } else if (const auto* fence = std::get_if<FenceRequest>(&message)) {
    Write(node, node.replica->OnFence(from, *fence, out));
  } else if (const auto* copy = std::get_if<CopyRequest>(&message)) {
    Write(node, node.replica->OnCopy(from, *copy, out));
  } else if (const auto* fetch = std::get_if<FetchRequest>(&message)) {
    out.Send(from, Serve(node, *fetch));
  } else if (const auto* mirrored = std::get_if<MirrorReply>(&message)) {
    if (!node.owner) return;
    uint64_t& seen = node.owner_seen[IndexOfNode(from)];
    seen = ContentHash().Add(seen).Add(heard).value();
    OwnerOutput owner_out;
    node.owner->OnMirrorReply(from, *mirrored, kNow, owner_out);
    Finish(node, std::move(owner_out));
  } else if (node.takeover) {
    SealerCore& core = *node.takeover->core;
    node.takeover->heard.emplace_back(from, message);
    node.takeover_seen = ContentHash().Add(node.takeover_seen).Add(heard).value();
    if (const auto* fenced = std::get_if<FenceReply>(&message)) {
      core.OnFenceReply(from, *fenced, kNow, out);
    } else if (const auto* copied = std::get_if<CopyReply>(&message)) {
      core.OnCopyReply(from, *copied, kNow, out);
    } else if (const auto* fetched = std::get_if<FetchReply>(&message)) {
      core.OnFetchReply(from, *fetched, kNow, out);
    }
    if (core.phase() == SealerCore::Phase::kFenced) node.takeover.reset();
  }
  Send(node, std::move(out));
}

// As ReplicaHost::Fetch does: what is durable.
FetchReply SmallWorld::Serve(const Node& node, const FetchRequest& request) const {
  const auto extent = node.replica->DurableExtent(request.segment);
  FetchReply reply{request.request, request.segment, FetchAnswer::kSurelyNot, {}, {}, {}};
  if (!extent) return reply;
  reply.answer = FetchAnswer::kHave;
  reply.extent = *extent;
  const MemorySegment& segment = node.disk.segments.at(request.segment);
  if (request.with_snapshot) reply.snapshot = segment.snapshot;
  for (const auto& [first, block] : segment.blocks) {
    if (first >= request.from) reply.blocks.push_back({first, block});
  }
  return reply;
}

void SmallWorld::Finish(Node& node, OwnerOutput out) {
  for (const auto& [ticket, result] : out.results) {
    if (result.outcome != Outcome::kAcknowledged) continue;
    const size_t block = tickets_.at(ticket);
    const auto known = acknowledged_.try_emplace(block, result.offset).first;
    if (known->second != result.offset) {
      Break(absl::StrCat("block ", block, " is acknowledged at ", known->second.value(), " and at ",
                         result.offset.value()));
    }
  }
  for (const auto& [to, from] : out.catch_ups) {
    std::vector<StoredBlock> blocks;
    const auto segment = node.disk.segments.find({Partition(), node.owner->segment().epoch});
    if (segment != node.disk.segments.end()) {
      for (const auto& [first, block] : segment->second.blocks) {
        if (first >= from) blocks.push_back({first, block});
      }
    }
    OwnerOutput more;
    node.owner->OnCatchUp(to, std::nullopt, std::move(blocks), kNow, more);
    Finish(node, std::move(more));
  }
  Send(node, std::move(out.outbox));
}

void SmallWorld::Own(Node& node, ProducerTable table) {
  node.owner_seen = {};
  node.owner_version = version_;
  OwnerStep(node, ContentHash().Add(version_).Add(table.Encode(ProducerTable::kFormat)).value());
  node.owner = std::make_unique<OwnerCore>(Partition(), chain_.segments.back(), std::move(table),
                                           OwnerOptions(), kNow);
  OwnerOutput out;
  node.owner->MirrorToAll(kNow, out);
  Finish(node, std::move(out));
}

void SmallWorld::SwapTakeover(Node& node) {
  Takeover takeover = *std::exchange(node.takeover, std::nullopt);
  if (takeover.version != version_) return;
  Segment open;
  open.replicas = Everyone();
  chain_ = takeover.core->Proposal(std::move(open));
  version_++;
  Own(node, takeover.core->TakeTable());
}

// As PartitionDriver::Roll does.
Chain SmallWorld::RollOf(const Node& node) const {
  // While it is the owner, nobody else changes the chain; otherwise the swap will fail.
  if (node.owner_version != version_) return chain_;
  Chain chain = chain_;
  const Segment last = chain.segments.back();
  const Offset committed = node.owner->committed();
  if (committed == last.base && (chain.segments.size() > 1 || last.base == Offset())) {
    chain.segments.pop_back();
  } else {
    chain.segments.back().end = committed;
  }
  chain.segments.push_back(Segment{Next(last.epoch), committed, std::nullopt, last.rule, Everyone(),
                                   node.record.id, node.record.life});
  return chain;
}

void SmallWorld::SwapRoll(Node& node) {
  Chain chain = *std::exchange(node.roll, std::nullopt);
  if (node.owner_version != version_) return;  // replaced meanwhile: it settles
  chain_ = std::move(chain);
  node.owner_version = ++version_;
  OwnerOutput out;
  node.owner->FinishRoll(chain_.segments.back(), kNow, out);
  Finish(node, std::move(out));
}

// What a replica core is waiting to say can be heard from a copy of it.
void SmallWorld::AddKey(const Node& node, ContentHash& hash) {
  hash.Add(node.started).Add(node.disk).Add(node.record.life.value());
  hash.Add(node.replica->FenceOf(Partition()));
  ReplicaCore replica(*node.replica);
  Outbox waiting;
  for (const ReplicaCore::Writes& writes : node.queue) {
    for (const WalWrite& write : writes) hash.Add(write);
    replica.OnDurable(waiting);
  }
  for (const auto& [to, message] : waiting.messages) hash.Add(to.value()).Add(message);
  hash.Add(uint64_t{node.owner != nullptr}).Add(uint64_t{node.roll.has_value()});
  if (node.owner) {
    for (const uint64_t seen : node.owner_seen) hash.Add(seen);
  }
  hash.Add(node.takeover ? node.takeover_seen : 0);
}

uint64_t SmallWorld::Key() const {
  ContentHash hash;
  hash.Add(static_cast<uint64_t>(left_.faults)).Add(static_cast<uint64_t>(left_.appends));
  hash.Add(static_cast<uint64_t>(left_.takeovers)).Add(static_cast<uint64_t>(left_.rolls));
  hash.Add(uint64_t{wiped_}).Add(version_).Add(chain_);
  hash.Add(uint64_t{took_over_}).Add(static_cast<uint64_t>(tickets_.empty()));
  for (const Node& node : nodes_) AddKey(node, hash);
  for (const auto& [block, offset] : acknowledged_) hash.Add(uint64_t{block}).Add(offset);
  uint64_t letters = 0;  // in no order
  for (const Letter& letter : letters_) letters += letter.hash * 0x9fb21c651e98df25u;
  return hash.Add(letters).value();
}

std::string SmallWorld::Describe(const SmallStep& step) const {
  using Kind = SmallStep::Kind;
  const std::string& node = nodes_[step.node].record.id.value();
  switch (step.kind) {
    case Kind::kAppend:
      return absl::StrCat("block ", step.index, " is appended at ", node);
    case Kind::kDeliver:
    case Kind::kRepeat: {
      const Letter& letter = letters_[step.index];
      return absl::StrCat(letter.from.value(), " -> ", letter.to.value(),
                          step.kind == Kind::kRepeat ? " (repeated): " : ": ",
                          forebay::Describe(letter.message));
    }
    case Kind::kSync:
      return node + " syncs";
    case Kind::kTakeOver:
      return node + " begins to take over";
    case Kind::kSwap:
      return node + " swaps the chain to take over";
    case Kind::kBeginRoll:
      return node + " begins to roll";
    case Kind::kSwapRoll:
      return node + " swaps the chain to roll";
    case Kind::kSettle:
      return node + " reads the chain and settles";
    case Kind::kCrash:
      return node + " crashes and starts anew";
    case Kind::kWipe:
      return node + " loses its disk and starts anew";
  }
  return "?";
}

void SmallWorld::Break(const std::string& how) {
  if (!broken_) broken_ = how;
}

bool SmallWorld::Holds(const Replica& replica, const SegmentKey& key, Offset end) const {
  const Node& node = nodes_[IndexOfNode(replica.node)];
  const auto segment = node.disk.segments.find(key);
  return node.record.incarnation == replica.incarnation && segment != node.disk.segments.end() &&
         segment->second.extent.tail >= end;
}

// I1: an ack quorum holds it, less what the wipe took.
void SmallWorld::CheckCopies(const Segment& segment, Offset end) {
  if (end <= segment.base) return;
  const auto holders =
      std::count_if(segment.replicas.begin(), segment.replicas.end(), [&](const Replica& replica) {
        return Holds(replica, {Partition(), segment.epoch}, end);
      });
  if (holders + (wiped_ ? 1 : 0) < segment.rule.ack_copies) {
    Break(absl::StrCat("segment ", segment.epoch.value(), " to ", end.value(), " is held by ",
                       holders));
  }
}

void SmallWorld::Check() {
  std::set<uint32_t> in_chain;
  for (const Segment& segment : chain_.segments) {
    Offset end = segment.end.value_or(segment.base);
    for (const auto& [block, offset] : acknowledged_) {
      if (!segment.end && offset >= segment.base) end = std::max(end, offset + 1);
    }
    CheckCopies(segment, end);
    std::map<Offset, uint32_t> content;  // checksums
    for (const Replica& replica : segment.replicas) {
      const SegmentKey key{Partition(), segment.epoch};
      if (!Holds(replica, key, segment.base)) continue;
      const auto& blocks = nodes_[IndexOfNode(replica.node)].disk.segments.at(key).blocks;
      for (const auto& [first, block] : blocks) {
        if (first >= end) continue;
        const auto known = content.try_emplace(first, block.checksum()).first;
        if (known->second != block.checksum()) {
          Break(absl::StrCat("two blocks at offset ", first.value()));  // I3
        }
      }
    }
    for (const auto& [offset, checksum] : content) {
      if (!in_chain.insert(checksum).second) {
        Break(absl::StrCat("a block is in the chain twice, also at ", offset.value()));  // I5
      }
    }
    for (const auto& [block, offset] : acknowledged_) {
      const auto found = content.find(offset);
      if (found != content.end() && found->second != BlockOf(block).checksum()) {
        Break(absl::StrCat("block ", block, " is acknowledged at ", offset.value(),
                           ", where the chain has another"));  // I1
      }
    }
  }
}

}  // namespace forebay
