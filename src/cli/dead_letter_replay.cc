#include "cli/dead_letter_replay.h"

#include <grpcpp/grpcpp.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "rpc/grpc_channel.h"
#include "runtime/real_clock.h"

namespace forebay {
namespace {

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

v1::Event ToWire(const Event& event) {
  v1::Event wire;
  wire.set_id(event.id);
  wire.set_key(event.key);
  if (event.time != absl::InfinitePast()) wire.set_time_unix_nanos(absl::ToUnixNanos(event.time));
  wire.set_type(event.type);
  wire.set_payload(event.payload);
  for (const auto& [name, value] : event.attributes) (*wire.mutable_attributes())[name] = value;
  return wire;
}

// Reads one partition of a dead-letter stream.
class PartitionReader {
 public:
  PartitionReader(PartitionId partition, const StreamId& stream, const DeadLetterVisitor& visitor)
      : partition_(std::move(partition)), stream_(stream), visitor_(visitor) {}

  absl::Status Read(RemoteCluster& cluster, absl::Duration limit) {
    const absl::Status tailed =
        cluster.Tail(partition_, {.offset = {}, .at_end = false}, /*follow=*/false, limit,
                     [&](absl::Span<const TailedEvent> events) {
                       for (const TailedEvent& event : events) {
                         failed_ = Take(event);
                         if (!failed_.ok()) return false;
                       }
                       return true;
                     });
    return failed_.ok() ? tailed : failed_;
  }

 private:
  absl::Status Take(const TailedEvent& event) {
    if (IsSetAsideLetter(event.event)) return absl::OkStatus();  // no event: bytes of a whole block
    const FoundDeadLetter::Place at{.partition = partition_, .offset = event.offset};
    absl::StatusOr<std::optional<DeadLetter>> whole = Join(event.event, at);
    if (!whole.ok()) {
      visitor_.foreign(at, whole.status());
      return absl::OkStatus();
    }
    if (!whole->has_value()) return absl::OkStatus();
    const bool in_parts = (*whole)->parts > 1;
    return visitor_.letter({.at = in_parts ? begun_at_ : at, .letter = **std::move(whole)});
  }

  absl::StatusOr<std::optional<DeadLetter>> Join(const Event& event,
                                                 const FoundDeadLetter::Place& at) {
    absl::StatusOr<DeadLetter> letter = ParseDeadLetter(event);
    if (!letter.ok()) return letter.status();
    // Else whoever may append here could append anywhere, by the hands of who replays.
    if (letter->partition.stream != stream_) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a dead letter of another stream, '", Printable(letter->partition.stream.value()), "'"));
    }
    if (letter->part == 1 && letter->parts > 1) begun_at_ = at;
    return joiner_.Add(*std::move(letter));
  }

  const PartitionId partition_;
  const StreamId& stream_;
  const DeadLetterVisitor& visitor_;
  DeadLetterJoiner joiner_;
  FoundDeadLetter::Place begun_at_;  // of the letter that is being joined
  absl::Status failed_;
};

}  // namespace

absl::Status ForEachDeadLetter(RemoteCluster& cluster, const StreamId& stream, absl::Duration limit,
                               const DeadLetterVisitor& visitor) {
  const StreamId letters = DeadLetterStream(stream);
  const absl::StatusOr<uint32_t> partitions = cluster.PartitionCount(letters, limit);
  // The stream is created with the first letter.
  if (absl::IsNotFound(partitions.status())) return absl::OkStatus();
  if (!partitions.ok()) return partitions.status();
  for (uint32_t i = 0; i < *partitions; ++i) {
    PartitionReader reader({.stream = letters, .index = i}, stream, visitor);
    FOREBAY_RETURN_IF_ERROR(reader.Read(cluster, limit));
  }
  return absl::OkStatus();
}

struct DeadLetterReplay::Stubs {
  absl::StatusOr<std::shared_ptr<const Credentials>> credentials;
  std::vector<std::unique_ptr<v1::Ingest::Stub>> nodes;
};

DeadLetterReplay::DeadLetterReplay(const RemoteNodes& nodes, absl::Duration limit)
    : stubs_(
          std::make_unique<Stubs>(Stubs{Credentials::Load(nodes.tls, {}, nodes.token_file), {}})),
      limit_(limit) {
  if (!stubs_->credentials.ok()) return;
  for (const std::string& address : nodes.addresses) {
    stubs_->nodes.push_back(v1::Ingest::NewStub(Dial(address, stubs_->credentials->get())));
  }
}

DeadLetterReplay::~DeadLetterReplay() = default;

absl::Status DeadLetterReplay::Replay(const FoundDeadLetter& found) {
  FOREBAY_RETURN_IF_ERROR(stubs_->credentials.status());
  v1::AppendRequest request;
  request.set_stream(found.letter.partition.stream.value());
  request.set_partition(found.letter.partition.index);
  *request.add_events() = ToWire(found.letter.event);
  // One identity for each letter: one per partition would leave gaps, because letters of one
  // dead-letter partition go back to several partitions.
  request.mutable_producer()->set_id(
      absl::StrCat("dead-letter-replay/", found.at.partition.index, "/", found.at.offset.value()));
  const RealClock clock;
  absl::Status last = absl::UnavailableError("no node given");
  for (const auto& stub : stubs_->nodes) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(clock.Now() + limit_));
    v1::AppendResponse response;
    last = FromGrpc(stub->Append(&context, request, &response));
    if (last.ok()) ++replayed_;
    if (last.ok() || !absl::IsUnavailable(last)) break;
  }
  return WithContext(last, "event '", found.letter.event.id, "' of ",
                     found.letter.partition.ToString());
}

}  // namespace forebay
