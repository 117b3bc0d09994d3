// What a drill shows while it runs.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "drill/drill_load.h"

namespace forebay {

// How far it is.
struct DrillMoment {
  absl::Duration elapsed;
  DrillLoadCounts counts;
  uint64_t events = 0;
  std::string doing;
};
class DrillWatcher {
 public:
  virtual ~DrillWatcher() = default;
  virtual void Moment(const DrillMoment& moment) = 0;  // many times a second
  virtual void Said(const std::string& line) = 0;      // what happened
};

// A line that is drawn anew when stderr is a terminal, else a line now and then.
class DrillProgress final : public DrillWatcher {
 public:
  DrillProgress(bool terminal, absl::Duration line_every)
      : every_(terminal ? absl::Milliseconds(100) : line_every), terminal_(terminal) {}
  ~DrillProgress() override;

  void Moment(const DrillMoment& moment) override;
  void Said(const std::string& line) override;
  // Makes room for what others print.
  void Pause() { ClearLine(); }

 private:
  void ClearLine();

  const absl::Duration every_;
  const bool terminal_;
  bool drawn_ = false;
  absl::Duration shown_at_ = -absl::InfiniteDuration();
  uint64_t shown_acknowledged_ = 0;
};

}  // namespace forebay
