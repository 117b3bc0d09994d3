#include "base/status.h"
#include "load/bench_phases.h"

namespace forebay {

absl::StatusOr<Measurement> RunSteadyPhase(BenchBed& bed, BenchPhase phase) {
  const double rate = phase == BenchPhase::kOpen ? bed.options().rate : 0;
  auto load = bed.Connect(rate);
  if (!load.ok()) return load.status();
  (*load)->Start();
  FOREBAY_RETURN_IF_ERROR(bed.Spend(bed.options().warm_up, **load, "warming up"));
  Meter meter(bed, **load, rate);
  FOREBAY_RETURN_IF_ERROR(bed.Spend(bed.options().measured, **load, NameOf(phase)));
  Measurement out = meter.End();
  (*load)->Stop();
  const BenchLoadResult rest = (*load)->Take();
  out.load.failed = rest.failed;
  out.load.first_failure = rest.first_failure;
  return out;
}

}  // namespace forebay
