#include "drain/poison_search.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "drain/dead_letter.h"

namespace forebay {

PoisonSearch::PoisonSearch(DrainContext& context, PartitionId partition, SinkId sink)
    : context_(context),
      partition_(std::move(partition)),
      sink_(std::move(sink)),
      answers_(context.loop) {}

void PoisonSearch::Reset() {
  answers_.Close();
  stage_ = Stage::kNone;
}

uint64_t PoisonSearch::Count(Offset cursor, Offset end) const {
  if (stage_ == Stage::kNone) return end.value() - cursor.value();
  if (stage_ != Stage::kSearching) return 1;
  return std::max<uint64_t>(1, (end_.value() - cursor.value()) / 2);
}

void PoisonSearch::OnRefused(Offset cursor, uint64_t count, std::string reason) {
  end_ = cursor + count;
  stage_ = count == 1 ? Stage::kFound : Stage::kSearching;
  reason_ = std::move(reason);
}

void PoisonSearch::OnPassed(Offset cursor) {
  if (stage_ == Stage::kNone) return;
  stage_ = end_ <= cursor ? Stage::kNone : Stage::kSearching;
}

void PoisonSearch::Bury(Offset cursor, const Event& event, Done done) {
  FOREBAY_CHECK(HasFound(), "no poison to make a dead letter of");
  DeadLetter letter;
  letter.reason = reason_;
  letter.sink = sink_;
  letter.partition = partition_;
  letter.offset = cursor;
  letter.event = event;
  auto parts = std::make_shared<std::vector<Event>>(EncodeDeadLetter(letter));
  for (Event& part : *parts) part.time = context_.clock.Now();
  Send(std::move(parts), 0, std::move(done));
}

void PoisonSearch::Send(std::shared_ptr<std::vector<Event>> parts, size_t next, Done done) {
  const Event& part = (*parts)[next];
  context_.ports.dead_letter(
      DeadLetterStream(partition_.stream), part,
      answers_.OnLoop([this, parts, next, done = std::move(done)](absl::Status status) mutable {
        if (status.ok() && next + 1 < parts->size()) {
          return Send(std::move(parts), next + 1, std::move(done));
        }
        if (status.ok()) stage_ = Stage::kSafe;
        done(status);
      }));
}

}  // namespace forebay
