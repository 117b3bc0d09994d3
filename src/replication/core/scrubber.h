// Scrubber: walks through all that a node stores, at a bounded rate, so that a flipped bit is found
// while there are other copies of it. Decides what is read next and when; the driver reads. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "block/segment.h"
#include "forebay/options.h"

namespace forebay {

// Since the process began; those of `now` are levels.
struct ScrubStats {
  uint64_t bytes = 0;   // read by the scrub
  uint64_t passes = 0;  // through everything
  uint64_t found = 0;   // blocks, snapshots and files that were damaged, by any reader
  uint64_t repaired = 0;
  uint64_t damaged_now = 0;   // blocks and snapshots
  uint64_t given_up_now = 0;  // of these, ones that no replica could give so far
};

// Confined to one executor.
class Scrubber {
 public:
  struct Step {
    enum class What { kSnapshot, kBlocks, kFiles };
    What what = What::kFiles;
    SegmentKey segment;
    Offset from;
    size_t bytes = 0;  // about
  };
  // What a step found out.
  struct Result {
    uint64_t bytes = 0;
    std::optional<Offset> next = {};  // of blocks: to go on there
    bool files_done = false;
  };

  explicit Scrubber(const DiskOptions& options);

  // A pass is to begin: with these.
  bool NeedsSegments(absl::Time now) const;
  void Begin(const std::vector<SegmentKey>& segments, absl::Time now);
  // What to read now. Then nothing until it is done.
  std::optional<Step> Next(absl::Time now);
  void Done(const Step& step, const Result& result, absl::Time now);
  // Was damaged, and is to be looked at again, with what comes after it.
  void LookAgain(const SegmentKey& segment, Offset from);

  uint64_t bytes() const { return bytes_; }
  uint64_t passes() const { return passes_; }

 private:
  const uint64_t bytes_per_second_;
  const absl::Duration every_;
  const size_t step_bytes_;
  std::deque<Step> steps_;
  bool in_pass_ = false;
  bool reading_ = false;
  absl::Time due_ = absl::InfinitePast();
  absl::Time next_pass_ = absl::InfinitePast();
  uint64_t bytes_ = 0;
  uint64_t passes_ = 0;
};

}  // namespace forebay
