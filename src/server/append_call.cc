#include "server/append_call.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/status.h"
#include "wire/append_failure.h"
#include "wire/ingest_wire.h"

namespace forebay {
namespace {

using Call = std::shared_ptr<UnaryCall<v1::AppendResponse>>;

// Ids of appends that may be repeated are a function of the identity, so that a repeat answers with
// the ids that were stored.
std::string IdOf(const v1::ProducerIdentity& producer, uint32_t partition, uint64_t sequence) {
  return absl::StrCat(producer.id(), "-", producer.epoch(), "-", partition, "-", sequence);
}

absl::Status CheckIdentity(const v1::AppendRequest& request) {
  if (!request.has_producer()) {
    if (!request.has_partition()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "'partition' is only for appends with a 'producer' identity; without one, events with a "
        "key go to the key's partition, others to any");
  }
  const size_t size = request.producer().id().size();
  if (size >= 1 && size <= EventLimits::kProducerIdBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("producer.id is ", size,
                                                 " bytes long, but it must be 1 to ",
                                                 EventLimits::kProducerIdBytesMax));
}

absl::Status CheckSize(const v1::AppendRequest& request) {
  if (request.events().empty()) return absl::InvalidArgumentError("the request holds no event");
  const auto count = static_cast<size_t>(request.events_size());
  if (count <= EventLimits::kBlockEventsMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the request holds ", count, " events, the limit is ",
                   EventLimits::kBlockEventsMax, ": send them in several requests"));
}

absl::StatusOr<uint32_t> PartitionFor(const v1::AppendRequest& request,
                                      const StreamOptions& stream) {
  if (!request.has_partition()) return Crc32c(request.producer().id()) % stream.partitions;
  if (request.partition() < stream.partitions) return request.partition();
  return NoSuchPartition(stream, request.partition());
}

// The events, each within the limits; refuses all if one is not.
absl::StatusOr<std::vector<Event>> TakeEvents(v1::AppendRequest& request) {
  std::vector<Event> events;
  events.reserve(static_cast<size_t>(request.events_size()));
  size_t bytes = 0;
  for (v1::Event& wire : *request.mutable_events()) {
    events.push_back(FromWire(wire));
    if (const absl::Status status = ValidateEvent(events.back()); !status.ok()) {
      return WithContext(status, "events[", events.size() - 1, "]");
    }
    bytes += EncodedBytes(events.back());
  }
  if (bytes > EventLimits::kBlockBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request's events take ", bytes, " bytes, the limit is ",
                     EventLimits::kBlockBytesMax, ": send them in several requests"));
  }
  return events;
}

// One status for results that are not all acknowledgements (see ingest.proto). `which` says where
// one learns which is which.
absl::Status StatusOf(const std::vector<AppendResult>& results, absl::string_view which) {
  size_t stored = 0, unknown = 0;
  const AppendResult* worst = nullptr;
  for (const AppendResult& result : results) {
    if (result.outcome == Outcome::kAcknowledged) {
      stored++;
      continue;
    }
    if (result.outcome == Outcome::kUnknown) unknown++;
    const bool worse = worst == nullptr ||
                       (result.outcome == Outcome::kUnknown && worst->outcome != Outcome::kUnknown);
    if (worse) worst = &result;
  }
  if (worst == nullptr) return absl::OkStatus();
  const std::string counts =
      absl::StrCat(stored, " of ", results.size(), " events are stored, ", unknown,
                   " have an unknown outcome (", which, "): ", worst->status.message());
  // Sending it again would be told the same.
  if (unknown > 0 && absl::IsFailedPrecondition(worst->status)) {
    return absl::FailedPreconditionError(counts);
  }
  if (unknown > 0) return absl::DeadlineExceededError(counts);
  // Nothing is stored: a client may simply repeat the call where the code says so.
  if (stored == 0) return worst->status;
  return absl::AbortedError(counts);
}

void Answer(const Call& call, const SentEvents& events, const std::vector<AppendResult>& results) {
  const bool all_stored = std::all_of(results.begin(), results.end(), [](const auto& result) {
    return result.outcome == Outcome::kAcknowledged;
  });
  if (all_stored) {
    return call->Answer([&](v1::AppendResponse& response) {
      for (size_t i = 0; i < results.size(); i++) {
        v1::EventResult& result = *response.add_results();
        result.set_id(events.ids[i]);
        ToWire(results[i], 0, result);
      }
    });
  }
  const std::optional<v1::AppendFailure> failure = MakeAppendFailure(events, results);
  if (failure.has_value()) {
    return call->End(ToGrpc(StatusOf(results, "the details say which"), &*failure));
  }
  call->End(StatusOf(results,
                     "too many turns between them for the details: send fewer events in a "
                     "request, or give a producer identity, with which a repeat says it"));
}

std::vector<std::string> IdsOf(const std::vector<Event>& events) {
  std::vector<std::string> ids;
  ids.reserve(events.size());
  for (const Event& event : events) ids.push_back(event.id);
  return ids;
}

void AppendAsProducer(AppendContext context, const StreamOptions& stream, PendingAppend append) {
  const Call& call = append.call;
  v1::AppendRequest& request = *append.request;
  const absl::StatusOr<uint32_t> partition = PartitionFor(request, stream);
  if (!partition.ok()) return call->End(partition.status());
  absl::StatusOr<std::vector<Event>> events = TakeEvents(request);
  if (!events.ok()) return call->End(events.status());
  const v1::ProducerIdentity& producer = request.producer();
  for (size_t i = 0; i < events->size(); i++) {
    Event& event = (*events)[i];
    if (event.id.empty()) event.id = IdOf(producer, *partition, producer.first_sequence() + i);
    if (event.time == absl::InfinitePast()) event.time = context.clock.Now();
  }
  const BlockStamp stamp{ProducerId(producer.id()), producer.epoch(), producer.first_sequence()};
  absl::StatusOr<Block> block = EncodeBlock(stamp, *events, stream.codec);
  if (!block.ok()) return call->End(block.status());
  context.relay.Append({stream.name, *partition}, *std::move(block), append.limit,
                       [call, sent = SentEvents{IdsOf(*events), {}}](const AppendResult& result) {
                         std::vector<AppendResult> results(sent.ids.size(), result);
                         for (size_t i = 0; i < results.size(); i++)
                           results[i].offset = result.offset + i;
                         Answer(call, sent, results);
                       });
}

void AppendToKnown(AppendContext context, const RpcBackend& backend, const StreamOptions& stream,
                   PendingAppend append) {
  v1::AppendRequest& request = *append.request;
  if (request.has_producer()) return AppendAsProducer(context, stream, std::move(append));
  absl::StatusOr<std::vector<Event>> events = TakeEvents(request);
  if (!events.ok()) return append.call->End(events.status());
  for (Event& event : *events) {
    if (event.id.empty()) event.id = context.ids.Next();
    if (event.time == absl::InfinitePast()) event.time = context.clock.Now();
  }
  SentEvents sent = SentEventsOf(*events, stream);
  backend.produce(stream.name, *std::move(events),
                  [call = std::move(append.call), sent = std::move(sent)](
                      const std::vector<AppendResult>& results) { Answer(call, sent, results); });
}

}  // namespace

void RunAppend(AppendContext context, BackendHolder::Held backend, PendingAppend append) {
  const v1::AppendRequest& request = *append.request;
  if (absl::Status status = CheckIdentity(request); !status.ok()) return append.call->End(status);
  if (absl::Status status = CheckSize(request); !status.ok()) return append.call->End(status);
  const StreamId name(request.stream());
  if (const auto known = backend->stream(name); known.has_value()) {
    return AppendToKnown(context, *backend, *known, std::move(append));
  }
  const absl::Time asked = context.clock.Now();
  FindStream(*backend, name,
             [context, backend, asked,
              append = std::move(append)](const absl::StatusOr<StreamOptions>& stream) mutable {
               if (!stream.ok()) return append.call->End(stream.status());
               context.worker.Post([context, backend, asked, stream = *stream,
                                    append = std::move(append)]() mutable {
                 append.limit -= context.clock.Now() - asked;
                 AppendToKnown(context, *backend, stream, std::move(append));
               });
             });
}

}  // namespace forebay
