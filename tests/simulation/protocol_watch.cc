#include "simulation/protocol_watch.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace forebay {
namespace {

// A message is answered within a few milliseconds, when it is answered at all.
constexpr absl::Duration kRecent = absl::Milliseconds(20);

// Faults that take something from the protocol in the middle of its work.
constexpr Fault kImportantFaults[] = {
    Fault::kKill,         Fault::kFreeze,    Fault::kPowerCut,     Fault::kPowerCutSome,
    Fault::kZoneDown,     Fault::kFailSync,  Fault::kStallDisk,    Fault::kSlowDisk,
    Fault::kDiskFull,     Fault::kStop,      Fault::kIsolate,      Fault::kCutLink,
    Fault::kFlap,         Fault::kClockJump, Fault::kMetadataNode, Fault::kMetadataAll,
    Fault::kMetadataSlow, Fault::kTakeOver};
// These need every copy to be there first, so they seldom meet a takeover or a repair.
constexpr Fault kRareFaults[] = {Fault::kWipe,      Fault::kReplace, Fault::kTornLog,
                                 Fault::kLostSyncs, Fault::kDamage,  Fault::kMisdirect,
                                 Fault::kEvacuate};

}  // namespace

void FaultCoverage::Add(const FaultCoverage& other) {
  for (size_t f = 0; f < cells_.size(); f++) {
    for (size_t s = 0; s < cells_[f].size(); s++) cells_[f][s] += other.cells_[f][s];
  }
}

std::string FaultCoverage::Table() const {
  std::string out = absl::StrFormat("  %-16s", "fault met");
  for (size_t s = 0; s < cells_[0].size(); s++) {
    absl::StrAppendFormat(&out, "%10s", NameOf(static_cast<ProtocolState>(s)));
  }
  for (size_t f = 0; f < cells_.size(); f++) {
    absl::StrAppendFormat(&out, "\n  %-16s", NameOf(static_cast<Fault>(f)));
    for (const uint64_t count : cells_[f]) absl::StrAppendFormat(&out, "%10d", count);
  }
  return out + "\n";
}

std::vector<std::string> FaultCoverage::Missing() const {
  std::vector<std::string> missing;
  const auto need = [&](Fault fault, ProtocolState state) {
    if (At(fault, state) == 0) missing.push_back(absl::StrCat(NameOf(fault), "@", NameOf(state)));
  };
  for (const Fault fault : kImportantFaults) {
    for (size_t s = 0; s < cells_[0].size(); s++) need(fault, static_cast<ProtocolState>(s));
  }
  for (const Fault fault : kRareFaults) {
    need(fault, ProtocolState::kAppending);
    need(fault, ProtocolState::kDraining);
  }
  for (const Fault fault : {Fault::kSinkDown, Fault::kSinkTimeout}) {
    need(fault, ProtocolState::kDraining);
    need(fault, ProtocolState::kSwapping);
  }
  for (const Fault fault :
       {Fault::kClientCut, Fault::kClientCrash, Fault::kAddNode, Fault::kRollingRestart,
        Fault::kRollingUpgrade, Fault::kHandOver, Fault::kRace}) {
    need(fault, ProtocolState::kAppending);
  }
  return missing;
}

std::optional<ProtocolState> ProtocolWatch::StateOf(const Message& message) const {
  if (const auto* mirror = std::get_if<MirrorRequest>(&message)) {
    if (mirror->blocks.empty()) return std::nullopt;
    return ProtocolState::kAppending;
  }
  if (std::holds_alternative<FenceRequest>(message)) return ProtocolState::kFencing;
  if (const auto* copy = std::get_if<CopyRequest>(&message)) {
    const Chain* chain = chain_of_(copy->segment.partition);
    const bool sealed = !chain->segments.empty() && copy->fence <= chain->segments.back().epoch;
    return sealed ? ProtocolState::kRepair : ProtocolState::kCopying;
  }
  if (std::holds_alternative<HandOver>(message)) return ProtocolState::kHandOver;
  return std::nullopt;
}

void ProtocolWatch::OnSent(const NodeId& from, const NodeId& to, const Message& message) {
  const auto state = StateOf(message);
  if (!state) return;
  seen_[{*state, to}] = simulation_.Now();
  Saw(*state, from);
}

void ProtocolWatch::Saw(ProtocolState state, const NodeId& node) {
  seen_[{state, node}] = simulation_.Now();
  Wake(state);
}

void ProtocolWatch::Wake(ProtocolState state) {
  if (!waiting_.contains(state)) return;
  const auto [first, last] = waiting_.equal_range(state);
  std::vector<std::function<void()>> ready;
  for (auto at = first; at != last; ++at) ready.push_back(std::move(at->second));
  waiting_.erase(first, last);
  for (const auto& then : ready) then();
}

std::function<void()> ProtocolWatch::OnSwap(const NodeId& node, const std::string& key,
                                            const std::string& value) {
  const auto partition = PartitionOfChainKey(key);
  const auto next = DecodeChain(value);
  if (!partition.ok() || !next.ok()) return [] {};
  const Chain& now = *chain_of_(*partition);
  ProtocolState state = ProtocolState::kSwapping;
  std::vector<NodeId> nodes{node};
  if (!now.segments.empty()) {
    const Segment& open = now.segments.back();
    const Segment& last = next->segments.back();
    if (last.epoch == open.epoch) {
      if (next->segments.size() < now.segments.size()) return [] {};  // a trim
      state = ProtocolState::kRepair;
    } else if (last.owner == open.owner && last.owner_life == open.owner_life) {
      state = ProtocolState::kRolling;
    } else if (open.owner != node) {
      nodes.push_back(open.owner);
    }
  }
  for (const NodeId& one : nodes) under_way_[{state, one}].insert(node);
  Wake(state);
  return [this, state, nodes, node, life = lives_[node]] {
    if (lives_[node] != life) return;
    for (const NodeId& one : nodes) {
      std::multiset<NodeId>& swaps = under_way_[{state, one}];
      const auto mine = swaps.find(node);
      if (mine != swaps.end()) swaps.erase(mine);
    }
  };
}

void ProtocolWatch::Forget(const NodeId& node) {
  lives_[node]++;
  std::erase_if(seen_, [&](const auto& entry) { return entry.first.second == node; });
  for (auto& [key, swaps] : under_way_) swaps.erase(node);
}

bool ProtocolWatch::Is(ProtocolState state, const NodeId& node) const {
  const auto under_way = under_way_.find({state, node});
  if (under_way != under_way_.end() && !under_way->second.empty()) return true;
  const auto seen = seen_.find({state, node});
  return seen != seen_.end() && simulation_.Now() - seen->second < kRecent;
}

std::vector<NodeId> ProtocolWatch::NodesIn(ProtocolState state) const {
  std::set<NodeId> nodes;
  for (const auto& [key, time] : seen_) nodes.insert(key.second);
  for (const auto& [key, swaps] : under_way_) nodes.insert(key.second);
  std::erase_if(nodes, [&](const NodeId& node) { return !Is(state, node); });
  return std::vector<NodeId>(nodes.begin(), nodes.end());
}

}  // namespace forebay
