#include "client/block_stream.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rpc/grpc_channel.h"
#include "wire/ingest_wire.h"
#include "wire/protocol_version.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

AppendResult NotStored(const PartitionId& partition, absl::Status status) {
  AppendResult result;
  result.outcome = Outcome::kNotStored;
  result.partition = partition;
  result.status = std::move(status);
  return result;
}

}  // namespace

BlockStream::BlockStream(size_t unanswered_bytes_max)
    : unanswered_bytes_max_(unanswered_bytes_max) {}

void BlockStream::Send(const PartitionId& partition, Block block, IngestLink::AppendDone done) {
  const size_t bytes = block.bytes().size();
  absl::Status refused;
  {
    MutexLock lock(pending_mutex_);
    if (broken_) {
      refused = absl::UnavailableError("the connection to the node has just broken");
    } else if (unanswered_bytes_ > 0 && unanswered_bytes_ + bytes > unanswered_bytes_max_) {
      refused = WithRetryAfter(
          absl::ResourceExhaustedError(absl::StrCat(
              "the node has not answered ", unanswered_bytes_,
              " bytes of blocks; the limit is unanswered_bytes_max = ", unanswered_bytes_max_)),
          absl::Milliseconds(100));
    } else {
      const uint64_t request = ++last_request_;
      unanswered_bytes_ += bytes;
      pending_.emplace(request, Pending{partition, bytes, std::exchange(done, nullptr)});
      queue_.push_back({request, std::move(block)});
    }
  }
  if (done != nullptr) done(NotStored(partition, std::move(refused)));  // nobody took it
}

bool BlockStream::broken() {
  MutexLock lock(pending_mutex_);
  return broken_;
}

bool BlockStream::Next(v1::AppendBlocksRequest& request) {
  request.Clear();
  std::vector<Queued> taken;
  {
    MutexLock lock(pending_mutex_);
    size_t bytes = 0;
    while (!queue_.empty() &&
           (taken.empty() || bytes + queue_.front().block.bytes().size() <= kEnvelopeBytes)) {
      bytes += queue_.front().block.bytes().size();
      const PartitionId& partition = pending_.at(queue_.front().request).partition;
      v1::BlockAppend& append = *request.add_blocks();
      append.set_request(queue_.front().request);
      append.set_stream(partition.stream.value());
      append.set_partition(partition.index);
      taken.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
  }
  if (taken.empty()) return false;
  for (size_t i = 0; i < taken.size(); i++) {
    const std::string_view bytes = taken[i].block.bytes();
    request.mutable_blocks(static_cast<int>(i))->set_block(bytes.data(), bytes.size());
  }
  if (!greeted_) request.set_protocol_version(kProtocolVersion);
  greeted_ = true;
  return true;
}

bool BlockStream::OnResponse(v1::AppendBlocksResponse& response) {
  std::vector<std::pair<Pending, AppendResult>> answered;
  {
    MutexLock lock(pending_mutex_);
    for (const v1::BlockResult& result : response.results()) {
      const auto found = pending_.find(result.request());
      if (found == pending_.end()) continue;
      unanswered_bytes_ -= found->second.bytes;
      AppendResult outcome = FromWire(result, found->second.partition.stream);
      answered.emplace_back(std::move(found->second), std::move(outcome));
      pending_.erase(found);
    }
  }
  for (auto& [pending, result] : answered) pending.done(std::move(result));
  return true;
}

void BlockStream::OnEnd(const grpc::Status& status) {
  std::map<uint64_t, Pending> pending;
  std::deque<Queued> queue;
  {
    MutexLock lock(pending_mutex_);
    broken_ = true;
    pending.swap(pending_);
    queue.swap(queue_);
  }
  const absl::Status why = absl::UnavailableError(
      absl::StrCat("the connection to the node ended: ", FromGrpc(status).ToString()));
  // What is still in the queue was never sent; the rest may have arrived.
  const uint64_t first_unsent = queue.empty() ? UINT64_MAX : queue.front().request;
  for (auto& [request, waiting] : pending) {
    AppendResult result = NotStored(waiting.partition, why);
    if (request < first_unsent) result.outcome = Outcome::kUnknown;
    waiting.done(std::move(result));
  }
}

}  // namespace forebay
