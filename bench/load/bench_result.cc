#include "load/bench_result.h"

#include <algorithm>

namespace forebay {

double Measurement::PerMillion(double seconds) const {
  return load.acknowledged == 0 ? 0 : seconds * 1e6 / static_cast<double>(load.acknowledged);
}

double Measurement::WrittenPerByte() const {
  return bytes_taken_in == 0 ? 0 : static_cast<double>(nodes.written_bytes) / bytes_taken_in;
}

double Measurement::Milliseconds(double share) const {
  return absl::ToDoubleMilliseconds(load.latency.Quantile(share));
}

bool PhaseResult::Passed() const {
  if (load.has_value()) return load->load.failed == 0;
  if (backlog.has_value()) return backlog->fill.load.failed == 0;
  if (catch_up.has_value()) return catch_up->caught_up && catch_up->during.load.failed == 0;
  return failover.has_value() && failover->failed == 0 &&
         std::all_of(failover->faults.begin(), failover->faults.end(),
                     [](const FaultResult& fault) { return fault.whole.has_value(); });
}

}  // namespace forebay
