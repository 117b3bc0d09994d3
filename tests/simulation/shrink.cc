#include "simulation/shrink.h"

#include <algorithm>
#include <utility>

namespace forebay {
namespace {

class Shrinker {
 public:
  Shrinker(FaultScript script, const std::function<bool(const FaultScript&)>& fails, int runs_max)
      : best_(std::move(script)), fails_(fails), runs_left_(runs_max) {}

  FaultScript Run() {
    // Without faults there is nothing to look for in halves.
    FaultScript none = best_;
    none.events.clear();
    Try(std::move(none));
    while (DropEvents() && runs_left_ > 0) {
    }
    for (int i = 0; i < static_cast<int>(Noise::kCount); i++) {
      FaultScript quieter = best_;
      if (quieter.noise.erase(static_cast<Noise>(i)) > 0) Try(std::move(quieter));
    }
    for (size_t i = 0; i < best_.events.size(); i++) {
      FaultScript simpler = best_;
      if (!std::exchange(simpler.events[i].when, std::nullopt)) continue;
      Try(std::move(simpler));
    }
    DropEvents();
    return best_;
  }

 private:
  bool Try(FaultScript candidate) {
    if (runs_left_-- <= 0 || !fails_(candidate)) return false;
    best_ = std::move(candidate);
    return true;
  }

  // From the end, because what comes after the failure goes at once. True when something went.
  bool DropEvents() {
    bool any = false;
    for (size_t chunk = (best_.events.size() + 1) / 2; chunk > 0; chunk /= 2) {
      size_t end = best_.events.size();
      while (end > 0) {
        const size_t begin = end - std::min(chunk, end);
        FaultScript candidate = best_;
        candidate.events.erase(candidate.events.begin() + static_cast<std::ptrdiff_t>(begin),
                               candidate.events.begin() + static_cast<std::ptrdiff_t>(end));
        any = Try(std::move(candidate)) || any;
        end = begin;
      }
    }
    return any;
  }

  FaultScript best_;
  const std::function<bool(const FaultScript&)>& fails_;
  int runs_left_;
};

}  // namespace

FaultScript Shrink(FaultScript script, const std::function<bool(const FaultScript&)>& fails,
                   int runs_max) {
  return Shrinker(std::move(script), fails, runs_max).Run();
}

}  // namespace forebay
