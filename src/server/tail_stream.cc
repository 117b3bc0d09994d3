#include "server/tail_stream.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "rpc/raw_message.h"
#include "wire/ingest_wire.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

constexpr size_t kReadBytes = 256 << 10;  // as stored; compressed, it may stand for far more
// Of the events of one answer, unless one alone is larger: the largest has 1.3 MiB. Clients take
// messages of 4 MiB unless told otherwise.
constexpr size_t kAnswerBytes = 1 << 20;
constexpr size_t kEventFrameBytes = 16;  // the offset, and the tags and lengths around both
// How soon a follower sees what was committed meanwhile.
constexpr absl::Duration kFollowEvery = absl::Milliseconds(50);

const PartitionStatus* Find(const std::vector<PartitionStatus>& statuses,
                            const PartitionId& partition) {
  const auto found =
      std::find_if(statuses.begin(), statuses.end(),
                   [&](const PartitionStatus& status) { return status.partition == partition; });
  return found == statuses.end() ? nullptr : &*found;
}

absl::Status CannotDecode(const PartitionId& partition, const SetAsideBlock& block,
                          const absl::Status& why) {
  return absl::DataLossError(absl::StrCat(
      "offsets ", block.first.value(), " to ", block.end.value() - 1, " of ", partition.ToString(),
      " cannot be decoded: ", why.message(), ". If this stays, 'forebay admin set-aside ",
      partition.stream.value(), " ", partition.index, " ", block.first.value(),
      "' keeps the bytes apart and lets every tail and sink pass over exactly these offsets"));
}

Offset OldestOf(const PartitionStatus& status) {
  return std::max(status.trim_floor, status.chain.segments.front().base);
}

absl::Status NotTheOwner(const RpcBackend& backend, const PartitionId& partition,
                         const PartitionStatus* status) {
  if (status != nullptr && !status->chain.segments.empty()) {
    const NodeId& owner = status->chain.segments.back().owner;
    for (const NodeStatus& node : backend.nodes()) {
      if (node.record.id != owner || owner == backend.self || !node.alive) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("this node does not own ", partition.ToString(), ": ask its owner '",
                       owner.value(), "' at ", node.record.address));
    }
  }
  return WithRetryAfter(absl::UnavailableError(absl::StrCat(
                            partition.ToString(), " has no owner at the moment: ask again")),
                        absl::Milliseconds(200));
}

}  // namespace

TailStream::TailStream(ServiceContext context, v1::TailRequest request)
    : context_(context),
      request_(std::move(request)),
      partition_{StreamId(request_.stream()), request_.partition()} {}

void TailStream::Begin(absl::Status allowed) {
  itself_ = shared_from_this();
  stop_id_ = context_.stop.Add([weak = weak_from_this()] {
    if (const auto tail = weak.lock()) tail->End(absl::UnavailableError("the node is stopping"));
  });
  if (!allowed.ok()) return End(std::move(allowed));
  auto backend = context_.backend.Get();
  if (!backend.ok()) return End(backend.status());
  backend_ = *std::move(backend);
  FindPartition(*backend_, partition_, [self = shared_from_this()](absl::Status found) {
    if (!found.ok()) return self->End(std::move(found));
    self->backend_->status(
        [self](const std::vector<PartitionStatus>& statuses) { self->OnStatus(statuses); });
  });
}

void TailStream::OnStatus(const std::vector<PartitionStatus>& statuses) {
  const PartitionStatus* status = Find(statuses, partition_);
  if (status == nullptr || !status->owned_here || status->chain.segments.empty()) {
    return End(NotTheOwner(*backend_, partition_, status));
  }
  if (!request_.follow()) end_ = status->committed;
  oldest_known_ = OldestOf(*status);
  switch (request_.from_case()) {
    case v1::TailRequest::kOffset:
      next_ = Offset(request_.offset());
      break;
    case v1::TailRequest::kEnd:
      next_ = status->committed;
      break;
    default:
      // What is below the floor may still be there. The first read tells.
      next_ = status->chain.segments.front().base;
      return SeekOldest();
  }
  SendResponse();
}

bool TailStream::HasEnded() {
  MutexLock lock(mutex_);
  return ending_.has_value();
}

void TailStream::SeekOldest() {
  backend_->read(partition_, next_, kReadBytes,
                 [self = shared_from_this()](absl::StatusOr<std::vector<StoredBlock>> blocks) {
                   self->OnSought(std::move(blocks));
                 });
}

void TailStream::OnSought(absl::StatusOr<std::vector<StoredBlock>> blocks) {
  if (absl::IsOutOfRange(blocks.status()) && next_ < oldest_known_) {
    next_ = oldest_known_;
    return SeekOldest();
  }
  if (absl::IsOutOfRange(blocks.status())) {  // trimmed since we asked: ask once more
    return backend_->status([self = shared_from_this(), status = blocks.status()](
                                const std::vector<PartitionStatus>& statuses) {
      const PartitionStatus* found = Find(statuses, self->partition_);
      if (found == nullptr || OldestOf(*found) <= self->next_) return self->End(status);
      self->OnStatus(statuses);
    });
  }
  if (!blocks.ok()) return OnBlocks(blocks.status());
  if (!blocks->empty()) next_ = std::max(next_, blocks->front().first);
  SendResponse();
}

void TailStream::Read() {
  if (HasEnded()) return;
  if (end_.has_value() && next_ >= *end_) return End(absl::OkStatus());
  backend_->read(partition_, next_, kReadBytes,
                 [self = shared_from_this()](absl::StatusOr<std::vector<StoredBlock>> blocks) {
                   // Decompressing is not for the replicator's thread.
                   self->context_.worker.Post([self, blocks = std::move(blocks)]() mutable {
                     self->OnBlocks(std::move(blocks));
                   });
                 });
}

void TailStream::OnBlocks(absl::StatusOr<std::vector<StoredBlock>> blocks) {
  if (blocks.ok() && blocks->empty()) return Wait();
  if (blocks.ok()) {
    blocks_.assign(std::make_move_iterator(blocks->begin()),
                   std::make_move_iterator(blocks->end()));
    return Send();
  }
  if (blocks.status().code() != absl::StatusCode::kUnavailable) return End(blocks.status());
  // It may have just lost the partition: say who has it now.
  backend_->status([self = shared_from_this(),
                    status = blocks.status()](const std::vector<PartitionStatus>& statuses) {
    const PartitionStatus* found = Find(statuses, self->partition_);
    const bool owned = found != nullptr && found->owned_here;
    self->End(owned ? status : NotTheOwner(*self->backend_, self->partition_, found));
  });
}

absl::Status TailStream::MissingBefore(Offset kept) const {
  return absl::OutOfRangeError(absl::StrCat(
      partition_.ToString(), ": offsets ", next_.value(), " to ", kept.value() - 1,
      " are not there any more: they were trimmed before this tail read them; what is kept goes on "
      "at offset ",
      kept.value()));
}

void TailStream::Send() {
  if (HasEnded()) return;
  response_.Clear();
  const Offset before = next_;
  size_t bytes = 0;
  bool full = false;
  while (!blocks_.empty() && !full) {
    const StoredBlock& stored = blocks_.front();
    const bool over = end_.has_value() && next_ >= *end_;
    if (stored.first > next_ && !over) {  // tail-no-skip
      // What comes before the gap is sent first.
      if (!response_.events().empty()) break;
      return End(MissingBefore(stored.first));
    }
    if (stored.end() > next_) {
      const absl::StatusOr<std::vector<Event>> events = stored.block.Decode();
      if (!events.ok()) {
        if (!response_.events().empty()) break;  // first what comes before it
        return OnUndecodable(stored, events.status());
      }
      full = !Add(stored.first, *events, bytes);
    }
    // A block that is larger than an answer is decoded again for the next one, as keeping its
    // events would cost every slow reader their memory.
    if (!full) blocks_.pop_front();
  }
  if (response_.events().empty()) return next_ > before ? Read() : Wait();
  SendResponse();
}

bool TailStream::Add(Offset first, const std::vector<Event>& events, size_t& bytes) {
  for (size_t i = 0; i < events.size(); i++) {
    const Offset offset = first + i;
    if (offset < next_) continue;
    // What was committed since is not sent, so that next_offset must not count it either.
    if (end_.has_value() && offset >= *end_) break;
    bytes += EncodedBytes(events[i]) + kEventFrameBytes;
    if (bytes > kAnswerBytes && !response_.events().empty()) return false;
    v1::TailEvent& out = *response_.add_events();
    out.set_offset(offset.value());
    ToWire(events[i], *out.mutable_event());
    next_ = offset + 1;
  }
  return true;
}

// Nothing is passed over without a word (G8).
void TailStream::OnUndecodable(const StoredBlock& stored, const absl::Status& why) {
  const SetAsideBlock block{stored.first, stored.end(), stored.block.checksum()};
  backend_->is_set_aside(partition_, block,
                         [self = shared_from_this(), block, why](absl::StatusOr<bool> set_aside) {
                           if (!set_aside.ok()) return self->End(set_aside.status());
                           if (!*set_aside)
                             return self->End(CannotDecode(self->partition_, block, why));
                           v1::OffsetRange& range = *self->response_.add_set_aside();
                           range.set_first(block.first.value());
                           range.set_end(block.end.value());
                           self->next_ = block.end;
                           self->SendResponse();
                         });
}

void TailStream::SendResponse() {
  response_.set_next_offset(next_.value());
  {
    MutexLock lock(mutex_);
    response_ready_ = true;
  }
  Step();
}

void TailStream::Wait() {
  context_.worker.PostAfter(kFollowEvery, [self = shared_from_this()] { self->Read(); });
}

void TailStream::End(absl::Status status) {
  {
    MutexLock lock(mutex_);
    if (!ending_.has_value()) ending_ = std::move(status);
  }
  Step();
}

void TailStream::Step() {
  const auto keep = shared_from_this();
  turns_.Take([this] {
    bool write = false;
    std::optional<absl::Status> finish;
    {
      MutexLock lock(mutex_);
      if (finished_ || writing_) return;
      write = response_ready_ && !ending_.has_value();
      writing_ = write;
      response_ready_ = false;
      if (!write) finish = ending_;
      finished_ = finish.has_value();
    }
    if (write) {
      bytes_ = SerializeRaw(response_);
      StartWrite(&bytes_);
    }
    if (finish.has_value()) Finish(ToGrpc(*finish));
  });
}

void TailStream::OnWriteDone(bool ok) {
  {
    MutexLock lock(mutex_);
    writing_ = false;
  }
  if (ok) {
    Step();
    if (blocks_.empty()) return Read();
    context_.worker.Post([self = shared_from_this()] { self->Send(); });
  } else {
    End(absl::CancelledError("the caller has gone"));
  }
}

void TailStream::OnCancel() { End(absl::CancelledError("the caller has gone")); }

void TailStream::OnDone() {
  context_.stop.Remove(stop_id_);
  itself_.reset();
}

}  // namespace forebay
