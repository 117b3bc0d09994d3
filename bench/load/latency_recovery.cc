#include "load/latency_recovery.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace forebay {
namespace {

constexpr absl::Duration kBefore = absl::Seconds(2);
constexpr absl::Duration kSlot = absl::Milliseconds(100);
constexpr size_t kSlotsInARow = 10;
constexpr double kTimesBefore = 2;
constexpr double kMoreThanBeforeMs = 5;

double P99(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(std::ceil(0.99 * static_cast<double>(values.size()))) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

}  // namespace

LatencyRecovery RecoveryOf(absl::Span<const DrillLog> producers, const RecoverySpan& span) {
  const absl::Time fault = span.fault;
  std::vector<double> before;
  std::vector<std::vector<double>> slots(
      static_cast<size_t>(std::max<int64_t>((span.until - fault) / kSlot, 0)));
  LatencyRecovery out;
  for (const DrillLog& log : producers) {
    for (const DrillEvent& event : log) {
      const double ms = event.acknowledged.has_value()
                            ? absl::ToDoubleMilliseconds(event.acknowledged->at - event.sent)
                            : std::numeric_limits<double>::infinity();
      if (event.sent >= span.quiet_until - kBefore && event.sent < span.quiet_until) {
        before.push_back(ms);
      }
      const int64_t slot = event.sent < fault ? -1 : (event.sent - fault) / kSlot;
      if (slot < 0 || static_cast<size_t>(slot) >= slots.size()) continue;
      slots[static_cast<size_t>(slot)].push_back(ms);
      if (event.acknowledged.has_value()) out.slowest_ms = std::max(out.slowest_ms, ms);
    }
  }
  out.before_p99_ms = P99(std::move(before));
  const double bound =
      std::max(out.before_p99_ms * kTimesBefore, out.before_p99_ms + kMoreThanBeforeMs);
  size_t in_a_row = 0, first = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].empty()) continue;  // nothing was sent, which says nothing
    if (in_a_row == 0) first = i;
    in_a_row = P99(std::move(slots[i])) <= bound ? in_a_row + 1 : 0;
    if (in_a_row < kSlotsInARow) continue;
    out.back_ms = absl::ToDoubleMilliseconds(kSlot * static_cast<double>(first));
    break;
  }
  return out;
}

}  // namespace forebay
