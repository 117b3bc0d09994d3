#include "drain/batch_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace forebay {

BatchReader::BatchReader(DrainContext& context, PartitionId partition, size_t sink_index,
                         ReadDone done)
    : context_(context),
      partition_(std::move(partition)),
      sink_index_(sink_index),
      done_(std::move(done)),
      answers_(context.loop) {}

void BatchReader::Reset(Offset next) {
  answers_.Close();
  reading_ = false;
  batch_end_.reset();
  buffer_.Reset(next);
}

void BatchReader::Forget() {
  Reset(Offset());
  taken_at_ = absl::InfinitePast();
}

BatchLimits BatchReader::Limits() const {
  const SinkBinding& binding = context_.sinks[sink_index_];
  return {binding.batch_bytes_max, binding.batch_events_max};
}

// The bytes of events that were not read yet are guessed. A wrong guess costs a wait, once: the
// next one is made of what was read then.
bool BatchReader::FillsBatch(uint64_t events) const {
  const BatchLimits limits = Limits();
  return events >= limits.events_max || events * event_bytes_ >= limits.bytes_max;
}

bool BatchReader::Due(Offset committed, absl::Time oldest) const {
  if (batch_end_) return true;  // it is being made
  const bool has_read_one = buffer_.end() <= committed && buffer_.HoldsBatch(Limits());
  return has_read_one || FillsBatch(committed.value() - buffer_.begin().value()) ||
         context_.clock.Now() >= DueAt(oldest);
}

// Counted from the batch before, so that an event that comes alone goes at once. But no event waits
// longer than batch_wait_max because a batch left it over.
absl::Time BatchReader::DueAt(absl::Time oldest) const {
  return std::min(taken_at_, oldest) + context_.sinks[sink_index_].batch_wait_max;
}

bool BatchReader::HasBatch(Offset committed) const {
  if (buffer_.empty()) return false;
  return buffer_.end() >= batch_end_.value_or(committed) || buffer_.HoldsBatch(Limits());
}

DrainBatch BatchReader::Take(Offset committed) {
  batch_end_.reset();
  taken_at_ = context_.clock.Now();
  DrainBatch batch = buffer_.Take(committed, Limits());
  event_bytes_ =
      std::max<uint64_t>(1, batch.cost_bytes() / (batch.end().value() - batch.first().value()));
  return batch;
}

void BatchReader::Fill(Offset committed) {
  // What is committed while it is read is for the next batch, or this one would never end.
  if (!batch_end_) batch_end_ = committed;
  ReadOn(committed);
}

void BatchReader::Ahead(Offset taken, Offset committed) {
  if (committed <= taken || buffer_.HoldsBatch(Limits())) return;
  if (FillsBatch(committed.value() - taken.value())) ReadOn(committed);
}

bool BatchReader::EndBatchHere() {
  if (buffer_.empty()) return false;
  batch_end_ = buffer_.end();
  return true;
}

void BatchReader::Read(Offset from, size_t bytes_max, BlocksThen then) {
  context_.ports.read(partition_, from, bytes_max, answers_.OnLoop(std::move(then)));
}

void BatchReader::ReadOn(Offset committed) {
  if (reading_ || buffer_.end() >= committed) return;
  reading_ = true;
  const auto on_blocks = [this, committed](absl::StatusOr<std::vector<StoredBlock>> blocks) {
    reading_ = false;
    absl::Status status = blocks.status();
    if (status.ok() && blocks->empty()) {
      status =
          absl::UnavailableError(absl::StrCat("nothing to read at offset ", buffer_.end().value(),
                                              " although ", committed.value(), " is committed"));
    }
    if (status.ok()) status = buffer_.Add(*std::move(blocks));
    done_(status);
  };
  Read(buffer_.end(), Limits().bytes_max, on_blocks);
}

void BatchReader::FindStart(Offset committed, StartFound done) {
  Probe(0, committed.value(), std::move(done));
}

// A read tells on which side of the trim floor it is, so the floor is found by halves. It lies in
// [low, high].
void BatchReader::Probe(uint64_t low, uint64_t high, StartFound done) {
  if (low >= high) return done(Offset(high));
  const uint64_t probe = low == 0 ? 0 : low + (high - low) / 2;
  Read(Offset(probe), 1,
       [this, low, high, probe,
        done = std::move(done)](const absl::StatusOr<std::vector<StoredBlock>>& blocks) mutable {
         if (absl::IsOutOfRange(blocks.status())) return Probe(probe + 1, high, std::move(done));
         if (blocks.ok()) return Probe(low, probe, std::move(done));
         done(WithContext(blocks.status(), "find the first event left"));
       });
}

}  // namespace forebay
