#include "replication/loop_batch.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

namespace forebay {
namespace {

// The store groups whole writes, so a large batch leaves in parts.
constexpr size_t kWriteBytesMax = 1 << 20;
// How far a copy that no acknowledgement needs may be behind (decision 31).
constexpr absl::Duration kPiggybackAtTheLatest = absl::Milliseconds(4);

// Of the replies about one segment only the last counts: it says the most.
void KeepLastReplies(std::vector<Message>& messages) {
  if (messages.size() < 2) return;
  std::set<SegmentKey> later;
  const auto outdated = [&](const Message& message) {
    const auto* reply = std::get_if<MirrorReply>(&message);
    return reply != nullptr && !later.insert(reply->segment).second;
  };
  const auto kept = std::remove_if(messages.rbegin(), messages.rend(), outdated);
  messages.erase(messages.begin(), kept.base());
}

}  // namespace

LoopBatch::LoopBatch(NodeLoop& loop, NodeId self, WalStore& store, Transport& transport,
                     DiskWatch& disk)
    : loop_(loop), self_(std::move(self)), store_(store), transport_(transport), disk_(disk) {}

void LoopBatch::EndSoon() {
  if (std::exchange(ends_soon_, true)) return;
  loop_.Post([this] { End(); });
}

void LoopBatch::AtEnd(Task task) {
  at_end_.push_back(std::move(task));
  EndSoon();
}

void LoopBatch::PiggybackOn(const NodeId& node, Task task) {
  Piggyback& piggyback = piggybacks_[node];
  piggyback.tasks.push_back(std::move(task));
  if (std::exchange(piggyback.timer_runs, true)) return;
  loop_.PostAfter(kPiggybackAtTheLatest, [&piggyback] {
    piggyback.timer_runs = false;
    for (Task& each : std::exchange(piggyback.tasks, {})) each();
  });
}

void LoopBatch::Send(Outbox outbox) {
  for (auto& [to, message] : outbox.messages) outgoing_[to].push_back(std::move(message));
  if (!outgoing_.empty()) EndSoon();
}

void LoopBatch::Write(ReplicaCore::Writes writes) {
  if (writes.empty()) return;
  for (WalWrite& write : writes) {
    if (const auto* append = std::get_if<AppendBlock>(&write)) {
      write_bytes_ += append->block.bytes().size();
    }
    writes_.push_back(std::move(write));
  }
  write_batches_++;
  if (write_bytes_ >= kWriteBytesMax) {
    WriteOut();
  } else {
    EndSoon();
  }
}

void LoopBatch::End() {
  for (Task& task : std::exchange(at_end_, {})) task();
  for (auto& [node, piggyback] : piggybacks_) {
    if (!outgoing_.contains(node)) continue;
    for (Task& task : std::exchange(piggyback.tasks, {})) task();
  }
  // The owner's own node is a replica like any other, and its write is part of this batch.
  DeliverOwn();
  WriteOut();
  auto own = outgoing_.extract(self_);
  for (auto& [to, messages] : std::exchange(outgoing_, {})) {
    KeepLastReplies(messages);
    transport_.SendAll(to, std::move(messages));
  }
  ends_soon_ = false;
  // What the delivered messages had to say to this node is for the next batch.
  const bool more = !own.empty() || !at_end_.empty();
  if (!own.empty()) outgoing_.insert(std::move(own));
  if (more) EndSoon();
}

void LoopBatch::DeliverOwn() {
  auto own = outgoing_.extract(self_);
  if (own.empty()) return;
  for (Message& message : own.mapped()) handlers_.own_message(std::move(message));
}

void LoopBatch::WriteOut() {
  if (writes_.empty()) return;
  disk_.OnBlocks(std::exchange(write_bytes_, 0));
  const size_t batches = std::exchange(write_batches_, 0);
  store_.Write(std::exchange(writes_, {}),
               loop_.Bring<absl::Status>([this, batches](const absl::Status& status) {
                 if (status.ok()) {
                   handlers_.durable(batches);
                 } else {
                   store_status_ = status;
                 }
               }));
}

}  // namespace forebay
