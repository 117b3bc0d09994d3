// BatchReader: makes batches of the blocks of one partition, and reads ahead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "drain/answer_gate.h"
#include "drain/batch.h"
#include "drain/drain_context.h"

namespace forebay {

// A read gives as many blocks as the store likes, so a batch takes as many reads as it takes. What
// is read and not taken yet is bounded by one batch and one read.
//
// Confined to the loop.
class BatchReader {
 public:
  // `done` is called after each read: it may have failed.
  using ReadDone = absl::AnyInvocable<void(const absl::Status&)>;
  using StartFound = absl::AnyInvocable<void(absl::StatusOr<Offset>)>;

  BatchReader(DrainContext& context, PartitionId partition, size_t sink_index, ReadDone done);

  // Forgets what was read and is being read; the next block to read holds `next`.
  void Reset(Offset next);
  // The partition was lost: also when the last batch was taken.
  void Forget();

  Offset next() const { return buffer_.begin(); }

  // Nothing more is to be waited for: what is undelivered fills a batch, or `oldest`, since when
  // its oldest event is known, was batch_wait_max ago, or the last batch was.
  bool Due(Offset committed, absl::Time oldest) const;
  absl::Time DueAt(absl::Time oldest) const;
  // Reading more would not make the next batch larger.
  bool HasBatch(Offset committed) const;
  DrainBatch Take(Offset committed);

  // Reads more for the next batch, which ends at `committed` or when it is full.
  void Fill(Offset committed);
  // The same while a batch up to `taken` is with the sink, if there is enough for a full one.
  void Ahead(Offset taken, Offset committed);
  // The next batch ends where a read failed: what could be read goes first. False: that is nothing.
  bool EndBatchHere();

  // The first offset in [0, committed] that can still be read.
  void FindStart(Offset committed, StartFound done);

 private:
  using BlocksThen = absl::AnyInvocable<void(absl::StatusOr<std::vector<StoredBlock>>)>;

  BatchLimits Limits() const;
  bool FillsBatch(uint64_t events) const;
  void Read(Offset from, size_t bytes_max, BlocksThen then);
  void ReadOn(Offset committed);
  void Probe(uint64_t low, uint64_t high, StartFound done);

  DrainContext& context_;
  const PartitionId partition_;
  const size_t sink_index_;
  ReadDone done_;
  ReadBuffer buffer_;
  bool reading_ = false;
  std::optional<Offset> batch_end_;  // of the batch in the making, unless it is full before
  uint64_t event_bytes_ = 1024;      // of an event of the last batch; a guess before it
  absl::Time taken_at_ = absl::InfinitePast();
  AnswerGate answers_;
};

}  // namespace forebay
