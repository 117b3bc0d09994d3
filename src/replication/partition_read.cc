// PartitionDriver: reading committed blocks, here or from a peer.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "replication/partition.h"

namespace forebay {
namespace {

constexpr size_t kCatchUpBytesMax = 1 << 20;
constexpr absl::Duration kRemoteReadLimit = absl::Seconds(1);

}  // namespace

void PartitionDriver::CatchUp(const NodeId& to, Offset from) {
  const SegmentKey key{id_, owner_->segment().epoch};
  node_.replicas().Fetch(
      {0, key, from, kCatchUpBytesMax, true}, [this, to, from, key](FetchReply reply) {
        if (owner_ == nullptr || owner_->segment().epoch != key.epoch) return;
        std::optional<std::pair<Offset, std::string>> reopen;
        if (reply.answer == FetchAnswer::kHave && reply.extent.start > from) {
          reopen = {reply.extent.start, reply.snapshot.value_or("")};
        }
        OwnerOutput out;
        owner_->OnCatchUp(to, std::move(reopen), std::move(reply.blocks), node_.Now(), out);
        Flush(std::move(out));
      });
}

void PartitionDriver::Read(Offset from, size_t bytes_max, ReadDone done) {
  if (owner_ == nullptr) {
    done(absl::UnavailableError(absl::StrCat(
        id_.ToString(), " is not owned by this node",
        HasChain() ? absl::StrCat(", but by ", Last().owner.value()) : std::string())));
    return;
  }
  if (from >= owner_->readable()) {
    done(std::vector<StoredBlock>());
    return;
  }
  const Segment* segment = nullptr;
  for (const Segment& s : chain_.chain.segments) {
    if (s.base <= from && (!s.end.has_value() || from < *s.end)) segment = &s;
  }
  const SegmentKey key{id_, segment == nullptr ? Epoch() : segment->epoch};
  const auto extent = node_.replicas().core().DurableExtent(key);
  if (segment == nullptr || (extent.has_value() && from < extent->start)) {
    const Offset first = segment == nullptr ? chain_.chain.segments.front().base : extent->start;
    done(absl::OutOfRangeError(absl::StrCat(id_.ToString(), " begins at offset ", first.value(),
                                            "; offset ", from.value(), " has been trimmed")));
    return;
  }
  if (!extent.has_value() || from >= extent->tail) {
    ReadRemote(*segment, from, bytes_max, std::move(done));
    return;
  }
  node_.replicas().Fetch({0, key, from, bytes_max, false},
                         [this, segment = *segment, from, bytes_max,
                          done = std::move(done)](FetchReply reply) mutable {
                           if (reply.answer == FetchAnswer::kHave) {
                             done(CutToCommitted(segment, std::move(reply.blocks)));
                           } else {
                             // Damaged here (H3), or trimmed just now: a peer may have it.
                             ReadRemote(segment, from, bytes_max, std::move(done));
                           }
                         });
}

std::vector<StoredBlock> PartitionDriver::CutToCommitted(const Segment& segment,
                                                         std::vector<StoredBlock> blocks) const {
  // A replica may hold more than was sealed: that never counts.
  const Offset limit = segment.end.has_value() ? *segment.end
                       : owner_ != nullptr     ? owner_->readable()
                                               : segment.base;
  std::erase_if(blocks, [&](const StoredBlock& block) { return block.end() > limit; });
  return blocks;
}

void PartitionDriver::ReadRemote(const Segment& segment, Offset from, size_t bytes_max,
                                 ReadDone done) {
  std::vector<NodeId> sources;
  for (const Replica& replica : segment.replicas) {
    const NodeRecord* record = node_.cluster().Record(replica.node);
    const bool same = record != nullptr && record->incarnation == replica.incarnation;
    if (replica.node != node_.self().id && same && node_.cluster().IsAlive(replica.node)) {
      sources.push_back(replica.node);
    }
  }
  if (sources.empty()) {
    done(absl::UnavailableError(
        absl::StrCat("offset ", from.value(), " of ", id_.ToString(),
                     " is not readable here, and no other replica of its segment is alive")));
    return;
  }
  const uint64_t request = node_.NewRequest();
  remote_reads_[request] = RemoteRead{segment, std::move(done)};
  Outbox out;
  out.Send(sources[node_.random().Below(sources.size())],
           FetchRequest{request, {id_, segment.epoch}, from, bytes_max, false});
  node_.Send(std::move(out));
  node_.loop().PostAfter(kRemoteReadLimit, [this, request] {
    auto reader = remote_reads_.extract(request);
    if (reader.empty()) return;
    reader.mapped().done(
        absl::UnavailableError(absl::StrCat("no replica of ", id_.ToString(), " answered a read")));
  });
}

void PartitionDriver::FinishRemoteRead(const FetchReply& reply, RemoteRead reader) {
  std::vector<StoredBlock> blocks = CutToCommitted(reader.segment, reply.blocks);
  if (reply.answer == FetchAnswer::kHave && !blocks.empty()) {
    reader.done(std::move(blocks));
  } else {
    reader.done(absl::UnavailableError(
        absl::StrCat("a replica of ", id_.ToString(), " could not serve a block; asking another")));
  }
}

}  // namespace forebay
