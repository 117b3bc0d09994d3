#include "drain/batch.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace forebay {
namespace {

// A parsed block, its place in the queue and its allocations, rounded up.
constexpr uint64_t kBlockOverheadBytes = 256;

}  // namespace

uint64_t CostOf(const Block& block) { return block.raw_bytes() + kBlockOverheadBytes; }

void DrainBatch::Add(Block block, uint32_t skip, uint32_t count) {
  cost_bytes_ += CostOf(block) * count / block.event_count();
  planned_end_ = planned_end_ + count;
  slices_.push_back(Slice{std::move(block), skip, count});
}

void DrainBatch::Decode() {
  events_.reserve(planned_end_.value() - first_.value());
  for (const Slice& slice : slices_) {
    auto decoded = slice.block.Decode();
    if (!decoded.ok()) {
      const Offset begin(first_.value() + events_.size() - slice.skip);
      bad_ = BadBlock{begin, begin + slice.block.event_count(), slice.block.checksum(),
                      decoded.status()};
      break;
    }
    auto from = decoded->begin() + slice.skip;
    events_.insert(events_.end(), std::make_move_iterator(from),
                   std::make_move_iterator(from + slice.count));
  }
  slices_.clear();
}

absl::Span<const Event> DrainBatch::Events(Offset from, size_t count) const {
  FOREBAY_CHECK(from >= first_ && (from + count) <= end(), "events outside of their batch");
  return absl::MakeConstSpan(events_).subspan(from.value() - first_.value(), count);
}

void ReadBuffer::Reset(Offset at) {
  blocks_.clear();
  cost_bytes_ = 0;
  begin_ = at;
}

bool ReadBuffer::HoldsBatch(const BatchLimits& limits) const {
  return cost_bytes_ >= limits.bytes_max || end().value() - begin_.value() >= limits.events_max;
}

absl::Status ReadBuffer::Add(std::vector<StoredBlock> blocks) {
  Offset next = end();
  for (const StoredBlock& block : blocks) {
    const bool joins = blocks_.empty() && &block == &blocks.front()
                           ? block.first <= next && next < block.end()
                           : block.first == next;
    if (!joins) {
      return absl::DataLossError(absl::StrCat("asked for offset ", next.value(), " but got block [",
                                              block.first.value(), ", ", block.end().value(), ")"));
    }
    next = block.end();
  }
  for (StoredBlock& block : blocks) {
    cost_bytes_ += CostOf(block.block);
    blocks_.push_back(std::move(block));
  }
  return absl::OkStatus();
}

DrainBatch ReadBuffer::Take(Offset committed, const BatchLimits& limits) {
  DrainBatch batch(begin_);
  uint64_t events_left = limits.events_max;
  while (!blocks_.empty() && begin_ < committed) {
    const StoredBlock& next = blocks_.front();
    const uint64_t whole = std::min(next.end(), committed).value() - begin_.value();
    const uint64_t event_bytes =
        std::max<uint64_t>(1, CostOf(next.block) / next.block.event_count());
    const uint64_t bytes_left =
        limits.bytes_max > batch.cost_bytes() ? limits.bytes_max - batch.cost_bytes() : 0;
    uint64_t count = std::min({whole, events_left, bytes_left / event_bytes});
    if (batch.end() == batch.first()) {
      count = std::max<uint64_t>(count, 1);  // a batch is never empty
    } else if (count < whole) {
      break;  // a block is only cut when it is too large alone: each part decodes all of it
    }
    batch.Add(next.block, static_cast<uint32_t>(begin_.value() - next.first.value()),
              static_cast<uint32_t>(count));
    events_left -= count;
    begin_ = begin_ + count;
    if (begin_ < next.end()) break;
    cost_bytes_ -= CostOf(next.block);
    blocks_.pop_front();
  }
  FOREBAY_CHECK(batch.end() > batch.first(), "took a batch where there was none");
  return batch;
}

}  // namespace forebay
