#include "server/append_blocks_stream.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "wire/ingest_wire.h"
#include "wire/protocol_version.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

// Of blocks taken from one stream and not answered; then the caller waits (HTTP/2 flow control).
constexpr size_t kOpenBytesMax = 64 << 20;
constexpr absl::Duration kAskAgainAfter = absl::Milliseconds(50);

}  // namespace

void AppendBlocksStream::ListenForStop() {
  stop_id_ = context_.stop.Add([weak = weak_from_this()] {
    if (const auto stream = weak.lock()) {
      stream->End(ToGrpc(absl::UnavailableError("the node is stopping")));
    }
  });
}

bool AppendBlocksStream::OnRequest(v1::AppendBlocksRequest& request, grpc::Status& status) {
  if (!greeted_) status = ToGrpc(CheckProtocolVersion(request.protocol_version()));
  if (!status.ok()) return false;
  greeted_ = true;
  for (v1::BlockAppend& append : *request.mutable_blocks()) Take(append);
  return true;
}

void AppendBlocksStream::Take(v1::BlockAppend& append) {
  const uint64_t request = append.request();
  const size_t bytes = append.block().size();
  {
    MutexLock lock(results_mutex_);
    open_count_++;
    open_bytes_ += bytes;
  }
  const PartitionId partition{StreamId(append.stream()), append.partition()};
  const auto refuse = [&](absl::Status status) {
    Refuse(request, bytes, partition, std::move(status));
  };
  const auto backend = context_.backend.Get();
  absl::Status allowed = caller_.CheckRole(Role::kAppend, partition.stream);
  if (allowed.ok()) allowed = backend.status();
  if (!allowed.ok()) return refuse(std::move(allowed));
  const std::optional<StreamOptions> stream = (*backend)->stream(partition.stream);
  if (!stream.has_value()) return TakeUnheardOf(request, bytes, *backend, partition);
  if (append.partition() >= stream->partitions) {
    return refuse(NoSuchPartition(*stream, append.partition()));
  }
  absl::StatusOr<Block> block = Block::Parse(std::move(*append.mutable_block()));
  // Here, not on the node's thread: it takes as long as reading the events.
  if (const absl::Status status = block.ok() ? block->Validate() : block.status(); !status.ok()) {
    return refuse(WithContext(status, "block for ", partition.ToString()));
  }
  const auto self = std::static_pointer_cast<AppendBlocksStream>(shared_from_this());
  (*backend)->append(partition, *std::move(block),
                     [self, request, bytes, backend = *backend](const AppendResult& result) {
                       self->Answer(request, bytes, result);
                       self->WakeSoon(*backend);
                     });
}

// Waiting for the metadata store would let later blocks overtake this one.
void AppendBlocksStream::TakeUnheardOf(uint64_t request, size_t bytes,
                                       const BackendHolder::Held& backend,
                                       const PartitionId& partition) {
  const auto self = std::static_pointer_cast<AppendBlocksStream>(shared_from_this());
  FindPartition(*backend, partition, [self, request, bytes, partition](absl::Status found) {
    if (found.ok()) {
      found = WithRetryAfter(
          absl::UnavailableError(absl::StrCat("this node has only just heard of ",
                                              partition.ToString(), ": send it again")),
          kAskAgainAfter);
    }
    self->Refuse(request, bytes, partition, std::move(found));
  });
}

void AppendBlocksStream::Refuse(uint64_t request, size_t bytes, const PartitionId& partition,
                                absl::Status status) {
  AppendResult refused;
  refused.outcome = Outcome::kNotStored;
  refused.partition = partition;
  refused.status = std::move(status);
  Answer(request, bytes, refused);
  Wake();
}

void AppendBlocksStream::Answer(uint64_t request, size_t bytes, const AppendResult& result) {
  v1::BlockResult wire;
  wire.set_request(request);
  ToWire(result, wire);
  bool was_last = false;
  {
    MutexLock lock(results_mutex_);
    results_.push_back(std::move(wire));
    open_count_--;
    open_bytes_ -= bytes;
    was_last = requests_done_ && open_count_ == 0;
  }
  if (was_last) End(grpc::Status::OK);
}

void AppendBlocksStream::WakeSoon(const RpcBackend& backend) {
  {
    MutexLock lock(results_mutex_);
    if (std::exchange(wakes_soon_, true)) return;
  }
  const auto self = std::static_pointer_cast<AppendBlocksStream>(shared_from_this());
  backend.post([self] {
    {
      MutexLock lock(self->results_mutex_);
      self->wakes_soon_ = false;
    }
    self->Wake();
  });
}

bool AppendBlocksStream::OnRequestsDone() {
  MutexLock lock(results_mutex_);
  requests_done_ = true;
  return open_count_ == 0;
}

bool AppendBlocksStream::Next(v1::AppendBlocksResponse& response) {
  response.Clear();
  std::deque<v1::BlockResult> results;
  {
    MutexLock lock(results_mutex_);
    results.swap(results_);
  }
  for (v1::BlockResult& result : results) *response.add_results() = std::move(result);
  return response.results_size() > 0;
}

bool AppendBlocksStream::MayRead() {
  MutexLock lock(results_mutex_);
  return open_bytes_ < kOpenBytesMax;
}

void AppendBlocksStream::OnEnd() { context_.stop.Remove(stop_id_); }

}  // namespace forebay
