// How a drill shows itself: progress on stderr, the table on stdout, the JSON.
#pragma once

#include <string>

#include "node/drill.h"

namespace forebay {

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

std::string DrillTable(const DrillOptions& options, const DrillReport& report);
std::string DrillJson(const DrillOptions& options, const DrillReport& report);

}  // namespace forebay
