// Attempts: how often one block was handed out to be stored, and what may be said of it (G2).
#pragma once

#include "absl/status/status.h"
#include "forebay/errors.h"

namespace forebay {

// Wherever a request may have left the process, its outcome is unknown until something proves
// otherwise. This is the only place that decides between "not stored" and "unknown" when the
// sending side gives up or is refused. A value; not thread-safe.
class Attempts {
 public:
  // Before the block is handed to a link, each time.
  void Begin();
  // An answer to one of them. Only "not stored" proves anything about that one.
  void Answered(Outcome outcome);

  int begun() const { return begun_; }
  bool MayBeStored() const { return open_ > 0; }

  // What to tell of the block when it is not sent any more, for the reason `why`: not stored when
  // every attempt was surely refused, else unknown, with a code that says so.
  AppendResult GiveUp(const absl::Status& why) const;

 private:
  int begun_ = 0;
  int open_ = 0;  // not answered "not stored"
};

}  // namespace forebay
