#include "simulation/describe.h"

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

const char* NameOf(ReplicaAnswer answer) {
  switch (answer) {
    case ReplicaAnswer::kHolds:
      return "holds";
    case ReplicaAnswer::kFull:
      return "full";
    case ReplicaAnswer::kFenced:
      return "fenced";
    case ReplicaAnswer::kLimbo:
      return "limbo";
    case ReplicaAnswer::kNotOpen:
      return "not open";
    case ReplicaAnswer::kFailed:
      return "failed";
  }
  return "?";
}

std::string Extent(const SegmentExtent& extent) {
  return absl::StrCat("[", extent.start.value(), ",", extent.tail.value(), ")");
}

struct Describer {
  std::string operator()(const MirrorRequest& m) const {
    return absl::StrCat("mirror ", m.segment.ToString(), " base ", m.base.value(), " from ",
                        m.first.value(), " blocks ", m.blocks.size(),
                        m.open_snapshot ? " with snapshot" : "", " committed ", m.committed.value(),
                        " floor ", m.trim_floor.value());
  }
  std::string operator()(const MirrorReply& m) const {
    return absl::StrCat("mirrored ", m.segment.ToString(), " ", NameOf(m.answer), " tail ",
                        m.tail.value(), " next ", m.next.value(), " fence ", m.fence.value());
  }
  std::string operator()(const FenceRequest& m) const {
    return absl::StrCat("fence ", m.segment.ToString(), " at ", m.fence.value());
  }
  std::string operator()(const FenceReply& m) const {
    return absl::StrCat("fenced ", m.segment.ToString(), " at ", m.fence.value(), " ",
                        NameOf(m.answer), " higher ", m.higher.value(), " [", m.start.value(), ",",
                        m.tail.value(), ")");
  }
  std::string operator()(const FetchRequest& m) const {
    return absl::StrCat("fetch ", m.segment.ToString(), " from ", m.from.value(),
                        m.with_snapshot ? " with snapshot" : "");
  }
  std::string operator()(const FetchReply& m) const {
    return absl::StrCat("fetched ", m.segment.ToString(), " answer ", static_cast<int>(m.answer),
                        " ", Extent(m.extent), " blocks ", m.blocks.size(),
                        m.snapshot ? " with snapshot" : "");
  }
  std::string operator()(const CopyRequest& m) const {
    return absl::StrCat("copy ", m.segment.ToString(), " fence ", m.fence.value(), " chain ",
                        m.chain_version, " from ", m.first.value(), " blocks ", m.blocks.size(),
                        m.open_snapshot ? " with snapshot" : "");
  }
  std::string operator()(const CopyReply& m) const {
    return absl::StrCat("copied ", m.segment.ToString(), " ", NameOf(m.answer), " ",
                        Extent(m.extent), " higher ", m.higher.value());
  }
  std::string operator()(const Probe& m) const {
    return absl::StrCat("probe ", m.partition.ToString(), " epoch ", m.epoch.value());
  }
  std::string operator()(const ProbeReply& m) const {
    return absl::StrCat("probed ", m.partition.ToString(), " epoch ", m.epoch.value(),
                        m.owns ? " owns" : " does not own");
  }
  std::string operator()(const HandOver& m) const {
    return absl::StrCat("hand over ", m.partition.ToString(), " epoch ", m.epoch.value());
  }
  std::string operator()(const Heartbeat& m) const {
    return absl::StrCat("heartbeat of ", m.life.value(), m.hears_you ? " that hears" : "");
  }
};

}  // namespace

std::string Describe(const Message& message) { return std::visit(Describer(), message); }

std::string Describe(const Chain& chain) {
  std::string out;
  for (const Segment& segment : chain.segments) {
    absl::StrAppend(&out, out.empty() ? "" : " | ", "e", segment.epoch.value(), " [",
                    segment.base.value(), ",",
                    segment.end ? absl::StrCat(segment.end->value()) : "open", ") ",
                    segment.owner.value(), " on");
    for (const Replica& replica : segment.replicas) {
      absl::StrAppend(&out, " ", replica.node.value(), "/", replica.incarnation.value() % 1000);
    }
  }
  return out;
}

}  // namespace forebay
