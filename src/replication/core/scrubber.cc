#include "replication/core/scrubber.h"

#include <algorithm>
#include <utility>

namespace forebay {
namespace {

// Small enough that a read by the drain never waits long behind it.
constexpr uint64_t kStepBytesMin = 64 << 10;
constexpr uint64_t kStepBytesMax = 1 << 20;
// Steps are asked for on ticks of 20 ms.
constexpr uint64_t kStepsPerSecond = 25;

}  // namespace

Scrubber::Scrubber(const DiskOptions& options)
    : bytes_per_second_(options.scrub_bytes_per_second),
      every_(options.scrub_every),
      step_bytes_(std::clamp(bytes_per_second_ / kStepsPerSecond, kStepBytesMin, kStepBytesMax)) {}

bool Scrubber::NeedsSegments(absl::Time now) const {
  return bytes_per_second_ > 0 && !in_pass_ && now >= next_pass_;
}

void Scrubber::Begin(const std::vector<SegmentKey>& segments, absl::Time now) {
  in_pass_ = true;
  next_pass_ = now + every_;
  for (const SegmentKey& segment : segments) {
    steps_.push_back({Step::What::kSnapshot, segment, Offset(), step_bytes_});
  }
}

std::optional<Scrubber::Step> Scrubber::Next(absl::Time now) {
  if (reading_ || now < due_ || (!in_pass_ && steps_.empty())) return std::nullopt;
  reading_ = true;
  if (steps_.empty()) return Step{Step::What::kFiles, {}, {}, step_bytes_};
  Step step = std::move(steps_.front());
  steps_.pop_front();
  return step;
}

void Scrubber::Done(const Step& step, const Result& result, absl::Time now) {
  reading_ = false;
  bytes_ += result.bytes;
  due_ = now;
  if (bytes_per_second_ > 0) {
    due_ +=
        absl::Seconds(static_cast<double>(result.bytes) / static_cast<double>(bytes_per_second_));
  }
  if (result.next.has_value()) {
    steps_.push_front({Step::What::kBlocks, step.segment, *result.next, step_bytes_});
  }
  if (step.what == Step::What::kFiles && result.files_done && in_pass_) {
    in_pass_ = false;
    passes_++;
  }
}

void Scrubber::LookAgain(const SegmentKey& segment, Offset from) {
  steps_.push_front({Step::What::kBlocks, segment, from, step_bytes_});
}

}  // namespace forebay
