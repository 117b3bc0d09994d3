#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/escaping.h"
#include "forebay/v1/status_details.pb.h"
#include "wire/admin_wire.h"
#include "wire/ingest_wire.h"
#include "wire/message_wire.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

const SegmentKey kSegment{{StreamId("web"), 7}, Epoch(3)};

Block MakeBlock(const std::string& payload) {
  Event event;
  event.id = "e-" + payload;
  event.time = absl::FromUnixSeconds(1);
  event.payload = payload;
  return *EncodeBlock({ProducerId("p"), 1, 2}, {&event, 1}, Codec::kNone);
}

// Every message as text that shows every field, so that a lost or swapped one shows.
std::string Text(const Block& block) { return "[" + std::string(block.bytes()) + "]"; }
std::string Text(uint64_t number) { return std::to_string(number); }
std::string Text(const std::string& text) { return text; }
std::string Text(const SegmentKey& key) { return key.ToString(); }
std::string Text(const PartitionId& partition) { return partition.ToString(); }
template <typename Tag>
std::string Text(StrongNumber<Tag> number) {
  return std::to_string(number.value());
}
std::string Text(ReplicaAnswer answer) { return std::to_string(static_cast<int>(answer)); }
std::string Text(FetchAnswer answer) { return std::to_string(static_cast<int>(answer)); }
std::string Text(const SegmentExtent& extent) {
  return Text(extent.start) + "-" + Text(extent.tail);
}
std::string Text(const StoredBlock& block) { return Text(block.first) + Text(block.block); }
template <typename Value>
std::string Text(const std::optional<Value>& value) {
  return value.has_value() ? "<" + Text(*value) + ">" : "none";
}
template <typename Value>
std::string Text(const std::vector<Value>& values) {
  std::string out;
  for (const Value& value : values) out += Text(value) + ";";
  return out;
}
template <typename... Fields>
std::string Join(const Fields&... fields) {
  return ((Text(fields) + " ") + ...);
}

struct Describer {
  std::string operator()(const MirrorRequest& m) const {
    return "mirror " + Join(m.segment, m.incarnation, m.open_snapshot, m.base, m.first, m.blocks,
                            m.committed, m.trim_floor);
  }
  std::string operator()(const MirrorReply& m) const {
    return "mirrored " + Join(m.segment, m.answer, m.tail, m.next, m.fence);
  }
  std::string operator()(const FenceRequest& m) const {
    return "fence " + Join(m.segment, m.incarnation, m.fence);
  }
  std::string operator()(const FenceReply& m) const {
    return "fenced " + Join(m.segment, m.fence, m.answer, m.higher, m.start, m.tail);
  }
  std::string operator()(const FetchRequest& m) const {
    return "fetch " + Join(m.request, m.segment, m.from, m.bytes_max, uint64_t{m.with_snapshot});
  }
  std::string operator()(const FetchReply& m) const {
    return "fetched " + Join(m.request, m.segment, m.answer, m.extent, m.snapshot, m.blocks);
  }
  std::string operator()(const CopyRequest& m) const {
    return "copy " + Join(m.segment, m.incarnation, m.fence, m.chain_version, m.open_snapshot,
                          m.first, m.blocks);
  }
  std::string operator()(const CopyReply& m) const {
    return "copied " + Join(m.segment, m.fence, m.answer, m.extent, m.higher, m.chain_version);
  }
  std::string operator()(const Probe& m) const { return "probe " + Join(m.partition, m.epoch); }
  std::string operator()(const ProbeReply& m) const {
    return "probed " + Join(m.partition, m.epoch, uint64_t{m.owns});
  }
  std::string operator()(const HandOver& m) const {
    return "hand over " + Join(m.partition, m.epoch);
  }
  std::string operator()(const Heartbeat& m) const { return "heartbeat " + Join(m.life); }
};

std::vector<Message> OneOfEachKind() {
  MirrorRequest mirror{kSegment,  Incarnation(11), "snapshot",
                       Offset(5), Offset(6),       {MakeBlock("a"), MakeBlock("b")},
                       Offset(7), Offset(8)};
  MirrorRequest tell = mirror;
  tell.open_snapshot.reset();
  tell.blocks.clear();
  FetchReply fetched;
  fetched.request = 12;
  fetched.segment = kSegment;
  fetched.answer = FetchAnswer::kSurelyNot;
  fetched.extent = {Offset(13), Offset(14)};
  fetched.snapshot = "";
  fetched.blocks.push_back({Offset(15), MakeBlock("c")});
  FenceReply fenced;
  fenced.segment = kSegment;
  fenced.fence = Epoch(16);
  fenced.answer = ReplicaAnswer::kNotOpen;
  fenced.higher = Epoch(17);
  fenced.start = Offset(18);
  fenced.tail = Offset(19);
  return {
      mirror,
      tell,
      MirrorReply{kSegment, ReplicaAnswer::kLimbo, Offset(1), Offset(2), Epoch(3)},
      FenceRequest{kSegment, Incarnation(4), Epoch(5)},
      fenced,
      FetchRequest{6, kSegment, Offset(7), 8, true},
      fetched,
      CopyRequest{kSegment, Incarnation(9), Epoch(10), 11, "s", Offset(12), {MakeBlock("d")}},
      CopyReply{kSegment, Epoch(13), ReplicaAnswer::kFenced, {Offset(14), Offset(15)}, Epoch(16)},
      Probe{kSegment.partition, Epoch(17)},
      ProbeReply{kSegment.partition, Epoch(18), true},
      HandOver{kSegment.partition, Epoch(19)},
      Heartbeat{ProcessLife(20)}};
}

TEST(MessageWire, BringsBackEveryFieldOfEveryKindOfMessage) {
  std::set<size_t> kinds;
  for (const Message& message : OneOfEachKind()) {
    kinds.insert(message.index());
    v1::PeerMessage wire;
    ToWire(message, wire);
    v1::PeerMessage received;
    ASSERT_TRUE(received.ParseFromString(wire.SerializeAsString()));
    const absl::StatusOr<Message> back = FromWire(received);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(std::visit(Describer{}, *back), std::visit(Describer{}, message));
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<Message>);
}

// What nodes of protocol version 1 said, read as they meant it. FOREBAY_GOLDEN=write writes it
// anew; a line that changes is a change of the protocol.
TEST(MessageWire, ReadsTheGoldenMessagesOfVersion1) {
  const auto path =
      std::filesystem::path(__FILE__).parent_path() / "golden" / "peer_messages_1.txt";
  const std::vector<Message> messages = OneOfEachKind();
  if (std::getenv("FOREBAY_GOLDEN") != nullptr) {
    std::ofstream out(path);
    for (const Message& message : messages) {
      v1::PeerMessage wire;
      ToWire(message, wire);
      out << absl::BytesToHexString(wire.SerializeAsString()) << "\n";
    }
  }
  std::ifstream golden(path);
  size_t read = 0;
  for (std::string line; std::getline(golden, line); read++) {
    ASSERT_LT(read, messages.size());
    v1::PeerMessage wire;
    ASSERT_TRUE(wire.ParseFromString(absl::HexStringToBytes(line)));
    const absl::StatusOr<Message> message = FromWire(wire);
    ASSERT_TRUE(message.ok()) << message.status();
    EXPECT_EQ(std::visit(Describer{}, *message), std::visit(Describer{}, messages[read]));
  }
  EXPECT_EQ(read, messages.size());
}

TEST(MessageWire, BringsBackThatAHeartbeatIsHeard) {  // not in the first messages
  v1::PeerMessage wire;
  ToWire(Heartbeat{ProcessLife(20), true}, wire);
  const absl::StatusOr<Message> back = FromWire(wire);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(std::get<Heartbeat>(*back).hears_you);
}

TEST(MessageWire, BringsBackTheVersionThatACopyWasAskedAt) {  // not in the first messages
  CopyReply reply;
  reply.chain_version = 21;
  v1::PeerMessage wire;
  ToWire(reply, wire);
  const absl::StatusOr<Message> back = FromWire(wire);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(std::get<CopyReply>(*back).chain_version, 21u);
}

// A rolling upgrade: the next version adds fields.
TEST(MessageWire, IgnoresFieldsOfANewerVersion) {
  const std::string unknown_field("\xfa\x3e\x03new", 6);  // number 1007, of length 3
  for (const Message& message : OneOfEachKind()) {
    v1::PeerMessage wire;
    ToWire(message, wire);
    ASSERT_TRUE(wire.ParseFromString(wire.SerializeAsString() + unknown_field));
    const absl::StatusOr<Message> back = FromWire(wire);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(std::visit(Describer{}, *back), std::visit(Describer{}, message));
  }
}

TEST(MessageWire, BringsBackEveryAnswer) {
  for (const ReplicaAnswer answer :
       {ReplicaAnswer::kHolds, ReplicaAnswer::kFenced, ReplicaAnswer::kLimbo,
        ReplicaAnswer::kNotOpen, ReplicaAnswer::kFailed, ReplicaAnswer::kFull}) {
    MirrorReply reply;
    reply.answer = answer;
    v1::PeerMessage wire;
    ToWire(reply, wire);
    EXPECT_EQ(std::get<MirrorReply>(*FromWire(wire)).answer, answer);
  }
}

// G10: a byte that is damaged on the way is noticed before it is stored.
TEST(MessageWire, RefusesADamagedBlock) {
  v1::PeerMessage wire;
  ToWire(OneOfEachKind().front(), wire);
  std::string& bytes = *wire.mutable_mirror_request()->mutable_blocks(1);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  EXPECT_EQ(FromWire(wire).status().code(), absl::StatusCode::kDataLoss);
}

// H3: an answer that is not understood must never read as "holds" or "surely not".
TEST(MessageWire, RefusesAnswersAndKindsItDoesNotKnow) {
  v1::PeerMessage wire;
  EXPECT_EQ(FromWire(wire).status().code(), absl::StatusCode::kInvalidArgument);
  wire.mutable_fence_reply();  // no answer given
  EXPECT_EQ(FromWire(wire).status().code(), absl::StatusCode::kInvalidArgument);
  wire.mutable_fetch_reply()->set_answer(static_cast<v1::FetchAnswer>(9));
  EXPECT_EQ(FromWire(wire).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(MessageWire, CountsBlocksAndSnapshotsAsBytes) {
  MirrorRequest request;
  const size_t empty = MessageBytes(request);
  request.open_snapshot = std::string(1000, 's');
  request.blocks.push_back(MakeBlock(std::string(2000, 'b')));
  EXPECT_GE(MessageBytes(request), empty + 3000);
}

TEST(StatusWire, CarriesRetryInfoAsAnyGrpcClientReadsIt) {
  const absl::Status status =
      WithRetryAfter(absl::UnavailableError("wait"), absl::Milliseconds(1250));
  const grpc::Status wire = ToGrpc(status);
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::UNAVAILABLE);
  v1::StatusDetails details;  // google.rpc.Status
  ASSERT_TRUE(details.ParseFromString(wire.error_details()));
  EXPECT_EQ(details.code(), 14);
  EXPECT_EQ(details.message(), "wait");
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.RetryInfo");
  v1::RetryInfo retry;
  ASSERT_TRUE(retry.ParseFromString(details.details(0).value()));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 250'000'000);
  const absl::Status back = FromGrpc(wire);
  EXPECT_EQ(back.code(), status.code());
  EXPECT_EQ(RetryAfter(back), absl::Milliseconds(1250));
}

TEST(StatusWire, KeepsCodeAndMessageOfEveryStatus) {
  for (int code = 0; code <= 16; code++) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "text");
    const absl::Status back = FromGrpc(ToGrpc(status));
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(back.message(), status.message());
  }
}

// G2: what this build does not understand is unknown, never "not stored".
TEST(IngestWire, ReadsAnUnknownOutcomeAsUnknown) {
  v1::BlockResult wire;
  wire.set_outcome(static_cast<v1::AppendOutcome>(77));
  const AppendResult result = FromWire(wire, StreamId("web"));
  EXPECT_EQ(result.outcome, Outcome::kUnknown);
  EXPECT_FALSE(result.status.ok());
}

TEST(IngestWire, BringsBackEveryResult) {
  AppendResult stored;
  stored.outcome = Outcome::kAcknowledged;
  stored.partition = {StreamId("web"), 4};
  stored.offset = Offset(99);
  stored.zones = 2;
  AppendResult refused;
  refused.outcome = Outcome::kNotStored;
  refused.partition = stored.partition;
  refused.status = WithRetryAfter(absl::ResourceExhaustedError("full"), absl::Milliseconds(70));
  AppendResult unknown = refused;
  unknown.outcome = Outcome::kUnknown;
  unknown.status = absl::DeadlineExceededError("who knows");
  for (const AppendResult& result : {stored, refused, unknown}) {
    v1::BlockResult wire;
    ToWire(result, wire);
    const AppendResult back = FromWire(wire, StreamId("web"));
    EXPECT_EQ(back.outcome, result.outcome);
    EXPECT_EQ(back.status, result.status);
    EXPECT_EQ(back.partition, result.partition);
    EXPECT_EQ(back.offset, result.offset);
    EXPECT_EQ(back.zones, result.zones);
  }
}

TEST(IngestWire, BringsBackAnEvent) {
  Event event;
  event.id = "id";
  event.key = "key";
  event.time = absl::FromUnixNanos(1234567890123456789);
  event.type = "type";
  event.payload = std::string("\0\xff", 2);
  event.attributes = {{"a", "1"}};
  v1::Event wire;
  ToWire(event, wire);
  EXPECT_EQ(FromWire(wire), event);
  Event bare;
  v1::Event bare_wire;
  ToWire(bare, bare_wire);
  EXPECT_EQ(FromWire(bare_wire), bare);
}

// What "is it safe to take a node down?" is judged by.
TEST(AdminWire, BringsBackWhatIsKnownOfNodesAndPartitions) {
  const NodeStatus node{
      {NodeId("a1"), ZoneId("a"), "h:1", Incarnation(7), ProcessLife(), true}, true, true};
  v1::NodeState node_wire;
  ToWire(node, node_wire);
  const NodeStatus node_back = FromWire(node_wire);
  EXPECT_EQ(node_back.record, node.record);
  EXPECT_TRUE(node_back.alive && node_back.leaving);
  PartitionStatus partition;
  partition.partition = {StreamId("web"), 3};
  partition.owned_here = true;
  for (const uint64_t epoch : {1, 2}) {
    Segment& segment = partition.chain.segments.emplace_back();
    segment.epoch = Epoch(epoch);
    segment.replicas = {{NodeId("a1"), Incarnation(7), ZoneId("a")}};
    segment.owner = NodeId("a1");
  }
  partition.chain.segments[0].end = Offset(9);
  partition.holders[Epoch(1)] = {NodeId("a1"), NodeId("b1")};
  partition.copies = 3;
  partition.asked = {2, 1};
  v1::PartitionState wire;
  ToWire(partition, wire);
  const PartitionStatus back = FromWire(wire);
  EXPECT_EQ(back.chain, partition.chain);
  EXPECT_EQ(back.holders, partition.holders);
  EXPECT_EQ(back.copies, 3);
  EXPECT_EQ(back.asked, partition.asked);
}

TEST(AdminWire, BringsBackTheStagesTimesAndLeavesOutStagesItDoesNotKnow) {
  OwnerStages stages;
  StageStats& mirror = stages[OwnerStage::kMirror];
  mirror.blocks = 3;
  mirror.time = absl::Milliseconds(5);
  mirror.histogram[7] = 2;
  mirror.histogram.back() = 1;
  v1::StatusResponse wire;
  ToWire(stages, wire);
  wire.add_stages()->set_stage("of a newer version");
  const OwnerStages back = StagesIn(wire);
  EXPECT_EQ(back[OwnerStage::kMirror].blocks, 3u);
  EXPECT_EQ(back[OwnerStage::kMirror].time, absl::Milliseconds(5));
  EXPECT_EQ(back[OwnerStage::kMirror].histogram, mirror.histogram);
  EXPECT_EQ(back[OwnerStage::kQueue].blocks, 0u);
}

TEST(AdminWire, BringsBackMaintenanceAndRefusesWhatMakesNoSense) {
  for (const auto& record :
       {MaintenanceRecord{MaintenanceRecord::Of::kNode, "a1", true, NodeId("a2")},
        MaintenanceRecord{MaintenanceRecord::Of::kZone, "a", false, NodeId()}}) {
    v1::SetMaintenanceRequest wire;
    ToWire(record, wire);
    ASSERT_TRUE(FromWire(wire).ok());
    EXPECT_EQ(*FromWire(wire), record);
  }
  v1::SetMaintenanceRequest wire;
  EXPECT_FALSE(FromWire(wire).ok());  // of nothing
  wire.set_zone("a");
  wire.set_replacement("b");
  EXPECT_FALSE(FromWire(wire).ok());
  wire.set_node("b");
  EXPECT_FALSE(FromWire(wire).ok());  // of both
  wire.clear_zone();
  EXPECT_FALSE(FromWire(wire).ok());  // by itself
}

TEST(AdminWire, BringsBackStreamOptionsAndRefusesUnknownWords) {
  StreamOptions options;
  options.name = StreamId("web");
  options.partitions = 9;
  options.copies = 5;
  options.ack_copies = 3;
  options.ack_zones = 1;
  options.codec = Codec::kLz4;
  options.on_zone_shortfall = ZoneShortfall::kAcceptDegraded;
  v1::CreateStreamRequest wire;
  ToWire(options, wire);
  const absl::StatusOr<StreamOptions> back = FromWire(wire);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->name, options.name);
  EXPECT_EQ(back->partitions, 9u);
  EXPECT_EQ(back->copies, 5);
  EXPECT_EQ(back->ack_copies, 3);
  EXPECT_EQ(back->ack_zones, 1);
  EXPECT_EQ(back->codec, Codec::kLz4);
  EXPECT_EQ(back->on_zone_shortfall, ZoneShortfall::kAcceptDegraded);
  wire.set_codec("gzip");
  EXPECT_EQ(FromWire(wire).status().message(), "codec is 'gzip', but it must be none, lz4 or zstd");
}

}  // namespace
}  // namespace forebay
