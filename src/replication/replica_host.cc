#include "replication/replica_host.h"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "replication/core/producer_table.h"
#include "runtime/log.h"

namespace forebay {
namespace {

constexpr size_t kTrimBytesMax = 8 << 20;

// Blocking: the snapshot first. If the blocks can still be read from the extent's start after
// that, the snapshot was the one that is true there.
struct SegmentRead {
  FetchReply reply;
  std::optional<Damage> damage;  // that kept it from being read
};

SegmentRead ReadSegment(WalStore& store, const FetchRequest& request, SegmentExtent extent) {
  SegmentRead read{{request.request, request.segment, FetchAnswer::kHave, extent, {}, {}}, {}};
  FetchReply& reply = read.reply;
  const auto fail = [&](const absl::Status& status, const Damage& damage) {
    const bool surely = status.code() == absl::StatusCode::kNotFound;
    reply.answer = surely ? FetchAnswer::kSurelyNot : FetchAnswer::kUnknown;
    if (absl::IsDataLoss(status)) read.damage = damage;
    return read;
  };
  if (request.with_snapshot) {
    auto snapshot = store.ReadSnapshot(request.segment);
    if (!snapshot.ok()) return fail(snapshot.status(), {});
    reply.snapshot = *std::move(snapshot);
  }
  const Offset from = std::max(request.from, extent.start);
  if (from >= extent.tail) return read;
  auto blocks = store.Read(request.segment, from, request.bytes_max);
  if (!blocks.ok()) return fail(blocks.status(), {from});
  // What is not durable yet is not here yet.
  std::erase_if(*blocks, [&](const StoredBlock& block) { return block.end() > extent.tail; });
  reply.blocks = *std::move(blocks);
  return read;
}

struct Trimmed {
  Offset start;  // the first block that is kept begins here
  std::string snapshot;
  std::optional<Damage> damage;
};

// Blocking: how far the segment can be trimmed, with the producers' snapshot that is true there.
Trimmed ReadForTrim(WalStore& store, const SegmentKey& key, SegmentExtent extent,
                    ReplicaHost::TrimTo to) {
  const SegmentRead segment =
      ReadSegment(store, {0, key, extent.start, kTrimBytesMax, true}, extent);
  const FetchReply& read = segment.reply;
  Trimmed trimmed{.start = extent.start, .snapshot = {}, .damage = segment.damage};
  auto table = ProducerTable::Decode(read.snapshot.value_or(""));
  if (!table.ok()) return trimmed;
  if (read.answer == FetchAnswer::kHave) {
    for (const StoredBlock& block : read.blocks) {
      if (block.first != trimmed.start || block.end() > to.floor) break;
      table->Apply(block.block, block.first);
      trimmed.start = block.end();
    }
  }
  trimmed.snapshot = table->Encode(to.snapshot_format);
  return trimmed;
}

// "offset 7 of web/0@3", or "the producers' snapshot of web/0@3".
std::string NameOf(const SegmentKey& key, const Damage& damage) {
  return absl::StrCat(damage.block.has_value() ? absl::StrCat("offset ", damage.block->value())
                                               : std::string("the producers' snapshot"),
                      " of ", key.ToString());
}

}  // namespace

ReplicaHost::ReplicaHost(NodeLoop& loop, LoopBatch& batch, WalStore& store, NodeId self,
                         Random random)
    : loop_(loop),
      batch_(batch),
      store_(store),
      random_(random),
      core_(std::move(self), store.marker().incarnation, store.content_at_open()) {}

void ReplicaHost::OnRequest(const NodeId& from, const Message& message) {
  Outbox out;
  if (const auto* mirror = std::get_if<MirrorRequest>(&message)) {
    batch_.Write(core_.OnMirror(from, *mirror, out));
  } else if (const auto* fence = std::get_if<FenceRequest>(&message)) {
    batch_.Write(core_.OnFence(from, *fence, out));
  } else if (const auto* copy = std::get_if<CopyRequest>(&message)) {
    batch_.Write(core_.OnCopy(from, *copy, out));
  } else if (const auto* fetch = std::get_if<FetchRequest>(&message)) {
    Fetch(*fetch, [this, from](FetchReply reply) {
      Outbox answer;
      answer.Send(from, std::move(reply));
      batch_.Send(std::move(answer));
    });
  }
  batch_.Send(std::move(out));
}

void ReplicaHost::OnDurable(size_t batches) {
  Outbox out;
  for (size_t i = 0; i < batches; i++) core_.OnDurable(out);
  batch_.Send(std::move(out));
  NoteRestored();
}

void ReplicaHost::Fetch(const FetchRequest& request, FetchDone done) {
  const auto extent = core_.DurableExtent(request.segment);
  if (!extent.has_value()) {
    done({request.request, request.segment, FetchAnswer::kSurelyNot, {}, {}, {}});
    return;
  }
  loop_.PostRead([this, request, extent = *extent, done = std::move(done)]() mutable {
    SegmentRead read = ReadSegment(store_, request, extent);
    loop_.Post([this, read = std::move(read), done = std::move(done)]() mutable {
      if (read.damage.has_value()) OnDamage(read.reply.segment, *read.damage);
      done(std::move(read.reply));
    });
  });
}

void ReplicaHost::ReadDigests(std::vector<StoredBlock> blocks,
                              absl::AnyInvocable<void(std::vector<StoredBlock>)> done) {
  loop_.PostRead([this, blocks = std::move(blocks), done = std::move(done)]() mutable {
    for (const StoredBlock& stored : blocks) stored.block.ComputeDigest().status().IgnoreError();
    loop_.Post([blocks = std::move(blocks), done = std::move(done)]() mutable {
      done(std::move(blocks));
    });
  });
}

void ReplicaHost::Trim(const PartitionId& partition, const Chain& chain, TrimTo to) {
  for (const Segment& segment : chain.segments) {
    const SegmentKey key{partition, segment.epoch};
    const auto extent = core_.DurableExtent(key);
    const bool leaves_soon = segment.end.has_value() && *segment.end <= to.floor;
    if (!extent.has_value() || leaves_soon || extent->start >= std::min(to.floor, extent->tail)) {
      continue;
    }
    TrimOne(key, *extent, to);
  }
}

void ReplicaHost::TrimOne(const SegmentKey& key, SegmentExtent extent, TrimTo to) {
  if (!trimming_.insert(key).second) return;
  loop_.PostRead([this, key, extent, to] {
    Trimmed trimmed = ReadForTrim(store_, key, extent, to);
    loop_.Post([this, key, before = extent.start, trimmed = std::move(trimmed)]() mutable {
      trimming_.erase(key);
      if (trimmed.damage.has_value()) OnDamage(key, *trimmed.damage);
      batch_.Write(core_.Trim(key, before, trimmed.start, std::move(trimmed.snapshot)));
    });
  });
}

void ReplicaHost::OnDamage(const SegmentKey& key, const Damage& damage) {
  const bool first = !core_.damaged().contains(key);
  if (!core_.OnDamage(key, damage)) return;
  damage_found_++;
  damage_mark_ = random_.Next() | 1;
  if (!first) return;
  Log(LogLevel::kWarning,
      absl::StrCat(NameOf(key, damage),
                   " is damaged on the disk of this node; it is restored from another replica. "
                   "Check the disk if this happens again"));
}

void ReplicaHost::CountFiles(uint64_t damaged, uint64_t repaired) {
  damage_found_ += damaged;
  damage_repaired_ += repaired;
}

void ReplicaHost::NoteRestored() {
  for (auto& [key, damage] : core_.TakeRestored()) {
    damage_repaired_++;
    Log(LogLevel::kInfo, absl::StrCat("restored ", NameOf(key, damage), " from another replica"));
    restored_.emplace_back(key, damage);
  }
}

}  // namespace forebay
