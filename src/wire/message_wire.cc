#include "wire/message_wire.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace forebay {
namespace {

// Every message has about this many bytes beside blocks and snapshots.
constexpr size_t kMessageOverheadBytes = 128;

template <typename Wire>
void SetPartition(const PartitionId& partition, Wire& wire) {
  wire.set_stream(partition.stream.value());
  wire.set_partition(partition.index);
}

template <typename Wire>
PartitionId PartitionOf(const Wire& wire) {
  return {StreamId(wire.stream()), wire.partition()};
}

void SetSegment(const SegmentKey& key, v1::SegmentKey& wire) {
  SetPartition(key.partition, wire);
  wire.set_epoch(key.epoch.value());
}

SegmentKey SegmentOf(const v1::SegmentKey& wire) {
  return {PartitionOf(wire), Epoch(wire.epoch())};
}

void SetExtent(const SegmentExtent& extent, v1::SegmentExtent& wire) {
  wire.set_start(extent.start.value());
  wire.set_tail(extent.tail.value());
}

SegmentExtent ExtentOf(const v1::SegmentExtent& wire) {
  return {Offset(wire.start()), Offset(wire.tail())};
}

// Our enums count from 0; on the wire 0 stands for "not given".
v1::ReplicaAnswer ToWire(ReplicaAnswer answer) {
  return static_cast<v1::ReplicaAnswer>(static_cast<int>(answer) + 1);
}

absl::StatusOr<ReplicaAnswer> FromWire(v1::ReplicaAnswer wire) {
  if (wire < v1::REPLICA_ANSWER_HOLDS || wire > v1::REPLICA_ANSWER_FULL) {
    return absl::InvalidArgumentError(
        absl::StrCat("replica answer ", static_cast<int>(wire), " is not known to this build"));
  }
  return static_cast<ReplicaAnswer>(static_cast<int>(wire) - 1);
}

v1::FetchAnswer ToWire(FetchAnswer answer) {
  return static_cast<v1::FetchAnswer>(static_cast<int>(answer) + 1);
}

absl::StatusOr<FetchAnswer> FromWire(v1::FetchAnswer wire) {
  if (wire < v1::FETCH_ANSWER_HAVE || wire > v1::FETCH_ANSWER_UNKNOWN) {
    return absl::InvalidArgumentError(
        absl::StrCat("fetch answer ", static_cast<int>(wire), " is not known to this build"));
  }
  return static_cast<FetchAnswer>(static_cast<int>(wire) - 1);
}

template <typename Wire>
void SetBlocks(const std::vector<Block>& blocks, Wire& wire) {
  for (const Block& block : blocks) wire.add_blocks(block.bytes().data(), block.bytes().size());
}

template <typename Wire>
absl::StatusOr<std::vector<Block>> TakeBlocks(Wire& wire) {
  std::vector<Block> blocks;
  blocks.reserve(static_cast<size_t>(wire.blocks_size()));
  for (std::string& bytes : *wire.mutable_blocks()) {
    absl::StatusOr<Block> block = Block::Parse(std::move(bytes));
    if (!block.ok()) return block.status();
    blocks.push_back(*std::move(block));
  }
  return blocks;
}

struct Encoder {
  v1::PeerMessage& wire;

  void operator()(const MirrorRequest& message) {
    v1::MirrorRequest& out = *wire.mutable_mirror_request();
    SetSegment(message.segment, *out.mutable_segment());
    out.set_incarnation(message.incarnation.value());
    if (message.open_snapshot.has_value()) out.set_open_snapshot(*message.open_snapshot);
    out.set_base(message.base.value());
    out.set_first(message.first.value());
    SetBlocks(message.blocks, out);
    out.set_committed(message.committed.value());
    out.set_trim_floor(message.trim_floor.value());
    out.set_round(message.round);
  }
  void operator()(const MirrorReply& message) {
    v1::MirrorReply& out = *wire.mutable_mirror_reply();
    SetSegment(message.segment, *out.mutable_segment());
    out.set_answer(ToWire(message.answer));
    out.set_tail(message.tail.value());
    out.set_next(message.next.value());
    out.set_fence(message.fence.value());
    out.set_round(message.round);
  }
  void operator()(const FenceRequest& message) {
    v1::FenceRequest& out = *wire.mutable_fence_request();
    SetSegment(message.segment, *out.mutable_segment());
    out.set_incarnation(message.incarnation.value());
    out.set_fence(message.fence.value());
  }
  void operator()(const FenceReply& message) {
    v1::FenceReply& out = *wire.mutable_fence_reply();
    SetSegment(message.segment, *out.mutable_segment());
    out.set_fence(message.fence.value());
    out.set_answer(ToWire(message.answer));
    out.set_higher(message.higher.value());
    out.set_start(message.start.value());
    out.set_tail(message.tail.value());
    out.set_damaged(message.damaged);
  }
  void operator()(const FetchRequest& message) {
    v1::FetchRequest& out = *wire.mutable_fetch_request();
    out.set_request(message.request);
    SetSegment(message.segment, *out.mutable_segment());
    out.set_from(message.from.value());
    out.set_bytes_max(message.bytes_max);
    out.set_with_snapshot(message.with_snapshot);
  }
  void operator()(const FetchReply& message) {
    v1::FetchReply& out = *wire.mutable_fetch_reply();
    out.set_request(message.request);
    SetSegment(message.segment, *out.mutable_segment());
    out.set_answer(ToWire(message.answer));
    SetExtent(message.extent, *out.mutable_extent());
    if (message.snapshot.has_value()) out.set_snapshot(*message.snapshot);
    for (const StoredBlock& stored : message.blocks) {
      v1::StoredBlock& block = *out.add_blocks();
      block.set_first(stored.first.value());
      block.set_block(stored.block.bytes().data(), stored.block.bytes().size());
    }
  }
  void operator()(const CopyRequest& message) {
    v1::CopyRequest& out = *wire.mutable_copy_request();
    SetSegment(message.segment, *out.mutable_segment());
    out.set_incarnation(message.incarnation.value());
    out.set_fence(message.fence.value());
    out.set_chain_version(message.chain_version);
    if (message.open_snapshot.has_value()) out.set_open_snapshot(*message.open_snapshot);
    out.set_first(message.first.value());
    SetBlocks(message.blocks, out);
  }
  void operator()(const CopyReply& message) {
    v1::CopyReply& out = *wire.mutable_copy_reply();
    SetSegment(message.segment, *out.mutable_segment());
    out.set_fence(message.fence.value());
    out.set_answer(ToWire(message.answer));
    SetExtent(message.extent, *out.mutable_extent());
    out.set_higher(message.higher.value());
    out.set_chain_version(message.chain_version);
  }
  void operator()(const Probe& message) {
    v1::Probe& out = *wire.mutable_probe();
    SetPartition(message.partition, out);
    out.set_epoch(message.epoch.value());
  }
  void operator()(const ProbeReply& message) {
    v1::ProbeReply& out = *wire.mutable_probe_reply();
    SetPartition(message.partition, out);
    out.set_epoch(message.epoch.value());
    out.set_owns(message.owns);
  }
  void operator()(const HandOver& message) {
    v1::HandOver& out = *wire.mutable_hand_over();
    SetPartition(message.partition, out);
    out.set_epoch(message.epoch.value());
  }
  void operator()(const Heartbeat& message) {
    v1::Heartbeat& out = *wire.mutable_heartbeat();
    out.set_life(message.life.value());
    out.set_hears_you(message.hears_you);
  }
};

absl::StatusOr<Message> Decode(v1::MirrorRequest& wire) {
  MirrorRequest message;
  message.segment = SegmentOf(wire.segment());
  message.incarnation = Incarnation(wire.incarnation());
  if (wire.has_open_snapshot()) message.open_snapshot = std::move(*wire.mutable_open_snapshot());
  message.base = Offset(wire.base());
  message.first = Offset(wire.first());
  absl::StatusOr<std::vector<Block>> blocks = TakeBlocks(wire);
  if (!blocks.ok()) return WithContext(blocks.status(), "mirror of ", message.segment.ToString());
  message.blocks = *std::move(blocks);
  message.committed = Offset(wire.committed());
  message.trim_floor = Offset(wire.trim_floor());
  message.round = wire.round();
  return message;
}

absl::StatusOr<Message> Decode(v1::MirrorReply& wire) {
  const absl::StatusOr<ReplicaAnswer> answer = FromWire(wire.answer());
  if (!answer.ok()) return answer.status();
  return MirrorReply{SegmentOf(wire.segment()), *answer,
                     Offset(wire.tail()),       Offset(wire.next()),
                     Epoch(wire.fence()),       wire.round()};
}

absl::StatusOr<Message> Decode(v1::FenceRequest& wire) {
  return FenceRequest{SegmentOf(wire.segment()), Incarnation(wire.incarnation()),
                      Epoch(wire.fence())};
}

absl::StatusOr<Message> Decode(v1::FenceReply& wire) {
  const absl::StatusOr<ReplicaAnswer> answer = FromWire(wire.answer());
  if (!answer.ok()) return answer.status();
  FenceReply message;
  message.segment = SegmentOf(wire.segment());
  message.fence = Epoch(wire.fence());
  message.answer = *answer;
  message.higher = Epoch(wire.higher());
  message.start = Offset(wire.start());
  message.tail = Offset(wire.tail());
  message.damaged = wire.damaged();
  return message;
}

absl::StatusOr<Message> Decode(v1::FetchRequest& wire) {
  return FetchRequest{wire.request(), SegmentOf(wire.segment()), Offset(wire.from()),
                      wire.bytes_max(), wire.with_snapshot()};
}

absl::StatusOr<Message> Decode(v1::FetchReply& wire) {
  const absl::StatusOr<FetchAnswer> answer = FromWire(wire.answer());
  if (!answer.ok()) return answer.status();
  FetchReply message;
  message.request = wire.request();
  message.segment = SegmentOf(wire.segment());
  message.answer = *answer;
  message.extent = ExtentOf(wire.extent());
  if (wire.has_snapshot()) message.snapshot = std::move(*wire.mutable_snapshot());
  message.blocks.reserve(static_cast<size_t>(wire.blocks_size()));
  for (v1::StoredBlock& stored : *wire.mutable_blocks()) {
    absl::StatusOr<Block> block = Block::Parse(std::move(*stored.mutable_block()));
    if (!block.ok()) {
      return WithContext(block.status(), "fetched block ", stored.first(), " of ",
                         message.segment.ToString());
    }
    message.blocks.push_back({Offset(stored.first()), *std::move(block)});
  }
  return message;
}

absl::StatusOr<Message> Decode(v1::CopyRequest& wire) {
  CopyRequest message;
  message.segment = SegmentOf(wire.segment());
  message.incarnation = Incarnation(wire.incarnation());
  message.fence = Epoch(wire.fence());
  message.chain_version = wire.chain_version();
  if (wire.has_open_snapshot()) message.open_snapshot = std::move(*wire.mutable_open_snapshot());
  message.first = Offset(wire.first());
  absl::StatusOr<std::vector<Block>> blocks = TakeBlocks(wire);
  if (!blocks.ok()) return WithContext(blocks.status(), "copy of ", message.segment.ToString());
  message.blocks = *std::move(blocks);
  return message;
}

absl::StatusOr<Message> Decode(v1::CopyReply& wire) {
  const absl::StatusOr<ReplicaAnswer> answer = FromWire(wire.answer());
  if (!answer.ok()) return answer.status();
  return CopyReply{SegmentOf(wire.segment()), Epoch(wire.fence()),  *answer,
                   ExtentOf(wire.extent()),   Epoch(wire.higher()), wire.chain_version()};
}

struct Sizer {
  size_t Of(const std::optional<std::string>& snapshot) const {
    return snapshot.has_value() ? snapshot->size() : 0;
  }
  size_t Of(const std::vector<Block>& blocks) const {
    size_t bytes = 0;
    for (const Block& block : blocks) bytes += block.bytes().size();
    return bytes;
  }
  size_t operator()(const MirrorRequest& message) const {
    return Of(message.open_snapshot) + Of(message.blocks);
  }
  size_t operator()(const CopyRequest& message) const {
    return Of(message.open_snapshot) + Of(message.blocks);
  }
  size_t operator()(const FetchReply& message) const {
    size_t bytes = Of(message.snapshot);
    for (const StoredBlock& stored : message.blocks) bytes += stored.block.bytes().size();
    return bytes;
  }
  template <typename Small>
  size_t operator()(const Small&) const {
    return 0;
  }
};

}  // namespace

void ToWire(const Message& message, v1::PeerMessage& wire) { std::visit(Encoder{wire}, message); }

absl::StatusOr<Message> FromWire(v1::PeerMessage& wire) {
  switch (wire.kind_case()) {
    case v1::PeerMessage::kMirrorRequest:
      return Decode(*wire.mutable_mirror_request());
    case v1::PeerMessage::kMirrorReply:
      return Decode(*wire.mutable_mirror_reply());
    case v1::PeerMessage::kFenceRequest:
      return Decode(*wire.mutable_fence_request());
    case v1::PeerMessage::kFenceReply:
      return Decode(*wire.mutable_fence_reply());
    case v1::PeerMessage::kFetchRequest:
      return Decode(*wire.mutable_fetch_request());
    case v1::PeerMessage::kFetchReply:
      return Decode(*wire.mutable_fetch_reply());
    case v1::PeerMessage::kCopyRequest:
      return Decode(*wire.mutable_copy_request());
    case v1::PeerMessage::kCopyReply:
      return Decode(*wire.mutable_copy_reply());
    case v1::PeerMessage::kProbe:
      return Probe{PartitionOf(wire.probe()), Epoch(wire.probe().epoch())};
    case v1::PeerMessage::kProbeReply:
      return ProbeReply{PartitionOf(wire.probe_reply()), Epoch(wire.probe_reply().epoch()),
                        wire.probe_reply().owns()};
    case v1::PeerMessage::kHandOver:
      return HandOver{PartitionOf(wire.hand_over()), Epoch(wire.hand_over().epoch())};
    case v1::PeerMessage::kHeartbeat:
      return Heartbeat{ProcessLife(wire.heartbeat().life()), wire.heartbeat().hears_you()};
    case v1::PeerMessage::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("a peer message of a kind that this build does not know");
}

size_t MessageBytes(const Message& message) {
  return kMessageOverheadBytes + std::visit(Sizer{}, message);
}

}  // namespace forebay
