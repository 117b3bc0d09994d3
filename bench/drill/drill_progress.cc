#include "drill/drill_progress.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/numbers.h"

namespace forebay {

DrillProgress::~DrillProgress() { ClearLine(); }

void DrillProgress::ClearLine() {
  if (drawn_) std::cerr << "\r\033[K" << std::flush;
  drawn_ = false;
}

void DrillProgress::Moment(const DrillMoment& moment) {
  if (moment.elapsed < shown_at_ + every_) return;
  const double seconds = absl::ToDoubleSeconds(moment.elapsed - shown_at_);
  const uint64_t now = moment.counts.acknowledged;
  const double rate = seconds > 0 && seconds < 60 && now >= shown_acknowledged_
                          ? static_cast<double>(now - shown_acknowledged_) / seconds
                          : 0;
  shown_at_ = moment.elapsed;
  shown_acknowledged_ = now;
  constexpr int kWidth = 24;
  const int filled =
      moment.events == 0 ? 0 : static_cast<int>(kWidth * moment.counts.sent / moment.events);
  const std::string bar =
      moment.events == 0
          ? ""
          : absl::StrCat("[", std::string(filled, '#'), std::string(kWidth - filled, '.'), "] ");
  const std::string line =
      absl::StrFormat("%6.1f s %ssent %s  acknowledged %s (%s/s)  %s",
                      absl::ToDoubleSeconds(moment.elapsed), bar, Grouped(moment.counts.sent),
                      Grouped(now), Grouped(static_cast<uint64_t>(rate)), moment.doing);
  if (terminal_) {
    std::cerr << "\r\033[K" << line << std::flush;
    drawn_ = true;
  } else {
    std::cerr << line << std::endl;
  }
}

void DrillProgress::Said(const std::string& line) {
  ClearLine();
  std::cerr << "         " << line << std::endl;
}

}  // namespace forebay
