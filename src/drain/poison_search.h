// PoisonSearch: finds the one event that a sink can never take, and makes it a dead letter.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "drain/answer_gate.h"
#include "drain/drain_context.h"
#include "forebay/event.h"

namespace forebay {

//   none ──refused──▶ searching ──refused alone──▶ found ──letter acknowledged──▶ safe ──passed──▶
//   none
//
// A refused batch is halved until one event is left, so the events before it are delivered, and it
// alone is passed over, once it is safe in the dead-letter stream (G8).
//
// Confined to the loop.
class PoisonSearch {
 public:
  using Done = absl::AnyInvocable<void(const absl::Status&)>;

  PoisonSearch(DrainContext& context, PartitionId partition, SinkId sink);

  // Forgets what is searched for; it is found again if it is still there.
  void Reset();

  // How many events to hand to the sink next, of those in [cursor, end).
  uint64_t Count(Offset cursor, Offset end) const;
  // The event at the cursor is poison, and no dead letter yet.
  bool HasFound() const { return stage_ == Stage::kFound; }
  // It is one: it can be skipped.
  bool IsSafe() const { return stage_ == Stage::kSafe; }

  // The sink will never take `count` events from `cursor` on.
  void OnRefused(Offset cursor, uint64_t count, std::string reason);
  // Everything below `cursor` is delivered or skipped.
  void OnPassed(Offset cursor);
  // Makes `event`, the one that was found at `cursor`, a dead letter.
  void Bury(Offset cursor, const Event& event, Done done);

 private:
  enum class Stage { kNone, kSearching, kFound, kSafe };

  void Send(std::shared_ptr<std::vector<Event>> parts, size_t next, Done done);

  DrainContext& context_;
  const PartitionId partition_;
  const SinkId sink_;
  Stage stage_ = Stage::kNone;
  Offset end_;  // one below it is poison, unless the stage is none
  std::string reason_;
  AnswerGate answers_;
};

}  // namespace forebay
