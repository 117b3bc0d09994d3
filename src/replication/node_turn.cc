// NodeState: what a turn of the loop decides, and how it leaves.
#include <algorithm>
#include <set>
#include <utility>

#include "replication/node_state.h"

namespace forebay {
namespace {

// The store groups whole writes, so a large turn's leave in parts.
constexpr size_t kWriteBytesMax = 1 << 20;
// How far a copy that no acknowledgement needs may be behind (decision 31).
constexpr absl::Duration kNextAtTheLatest = absl::Milliseconds(4);

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

void NodeState::EndTurnSoon() {
  if (std::exchange(turn_ends_soon_, true)) return;
  Post([this] { EndTurn(); });
}

void NodeState::AtEndOfTurn(Task task) {
  at_end_of_turn_.push_back(std::move(task));
  EndTurnSoon();
}

void NodeState::WithTheNextTo(const NodeId& node, Task task) {
  NextTo& next = with_the_next_[node];
  next.tasks.push_back(std::move(task));
  if (std::exchange(next.timer_runs, true)) return;
  PostAfter(kNextAtTheLatest, [&next] {
    next.timer_runs = false;
    for (Task& each : std::exchange(next.tasks, {})) each();
  });
}

void NodeState::Send(Outbox outbox) {
  for (auto& [to, message] : outbox.messages) outgoing_[to].push_back(std::move(message));
  if (!outgoing_.empty()) EndTurnSoon();
}

void NodeState::Write(ReplicaCore::Writes writes) {
  if (writes.empty()) return;
  for (WalWrite& write : writes) {
    if (const auto* append = std::get_if<AppendBlock>(&write)) {
      write_bytes_ += append->block.bytes().size();
    }
    writes_.push_back(std::move(write));
  }
  write_batches_++;
  if (write_bytes_ >= kWriteBytesMax) {
    WriteTurn();
  } else {
    EndTurnSoon();
  }
}

void NodeState::EndTurn() {
  for (Task& task : std::exchange(at_end_of_turn_, {})) task();
  for (auto& [node, next] : with_the_next_) {
    if (!outgoing_.contains(node)) continue;
    for (Task& task : std::exchange(next.tasks, {})) task();
  }
  auto own = outgoing_.extract(self().id);
  if (!own.empty()) {
    for (Message& message : own.mapped()) dispatch_(self().id, std::move(message));
  }
  WriteTurn();
  own = outgoing_.extract(self().id);
  for (auto& [to, messages] : std::exchange(outgoing_, {})) {
    KeepLastReplies(messages);
    transport_.SendAll(to, std::move(messages));
  }
  turn_ends_soon_ = false;
  // What those had to say to this node is for the next turn.
  const bool more = !own.empty() || !at_end_of_turn_.empty();
  if (!own.empty()) outgoing_.insert(std::move(own));
  if (more) EndTurnSoon();
}

void NodeState::WriteTurn() {
  if (writes_.empty()) return;
  disk_.OnBlocks(std::exchange(write_bytes_, 0));
  store_.Write(std::exchange(writes_, {}),
               [weak = weak_from_this(), this,
                batches = std::exchange(write_batches_, 0)](const absl::Status& status) {
                 const auto state = weak.lock();
                 if (state == nullptr) return;
                 Post([this, batches, status] {
                   if (status.ok()) {
                     OnDurable(batches);
                   } else {
                     store_status_ = status;
                   }
                 });
               });
}

void NodeState::OnDurable(size_t batches) {
  Outbox out;
  for (size_t i = 0; i < batches; i++) replica_.OnDurable(out);
  Send(std::move(out));
  NoteRestored();
}

}  // namespace forebay
