// Visits every order of steps of a very small system, on the production cores, to a given depth.
//
//   exploration_test                             seconds: the normal test run
//   exploration_test --depth 14 --faults 3       deeper; also --appends, --takeovers, --rolls
//
// Orders of steps that lead to the same are visited once. Prints how many states and steps there
// were; when a promise breaks, the shortest way there.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/numbers.h"
#include "simulation/small_scope.h"

namespace forebay {
namespace {

class Explorer {
 public:
  struct Counts {
    uint64_t states = 0, steps = 0, acknowledging = 0;
    size_t most_acknowledged = 0, most_segments = 0;
  };

  // False when a promise breaks on some way of at most so many steps.
  bool Explore(const SmallWorld& world, int depth) {
    if (depth == 0) return true;
    for (const SmallStep& step : world.Possible()) {
      way_.push_back(world.Describe(step));
      counts_.steps++;
      SmallWorld next(world);
      next.Take(step);
      if (next.broken()) {
        broken_ = *next.broken();
        return false;
      }
      counts_.most_acknowledged = std::max(counts_.most_acknowledged, next.acknowledged());
      counts_.most_segments = std::max(counts_.most_segments, next.segments());
      // Visited with at least as many steps left: nothing new.
      uint8_t& explored = explored_[next.Key()];
      if (explored < depth) {
        explored = static_cast<uint8_t>(depth);
        if (!Explore(next, depth - 1)) return false;
      }
      way_.pop_back();
    }
    counts_.states = explored_.size();
    return true;
  }

  const Counts& counts() const { return counts_; }
  const std::vector<std::string>& way() const { return way_; }
  const std::string& broken() const { return broken_; }

 private:
  Counts counts_;
  std::unordered_map<uint64_t, uint8_t> explored_;  // key: most steps left when visited
  std::vector<std::string> way_;
  std::string broken_;
};

// A failed FOREBAY_CHECK aborts: at least say how it came to that.
const std::vector<std::string>* way_now = nullptr;
void OnAbort(int) {
  for (const std::string& step : *way_now) std::fprintf(stderr, "  %s\n", step.c_str());
}

struct Run {
  const char* about;
  SmallScope scope;
  int depth;
};

bool Explore(const Run& run) {
  const auto start = std::chrono::steady_clock::now();
  Explorer explorer;
  way_now = &explorer.way();
  std::signal(SIGABRT, OnAbort);
  const bool holds = explorer.Explore(SmallWorld(run.scope), run.depth);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf(
      "%s: depth %d, %d faults, %d appends, %d takeovers, %d rolls: %llu states, %llu "
      "steps, at most %zu acknowledged, %zu segments, %.1f s\n",
      run.about, run.depth, run.scope.faults, run.scope.appends, run.scope.takeovers,
      run.scope.rolls, static_cast<unsigned long long>(explorer.counts().states),
      static_cast<unsigned long long>(explorer.counts().steps), explorer.counts().most_acknowledged,
      explorer.counts().most_segments, seconds);
  if (holds) return true;
  for (int depth = 1; depth <= run.depth; depth++) {
    Explorer shortest;
    way_now = &shortest.way();
    if (shortest.Explore(SmallWorld(run.scope), depth)) continue;
    for (const std::string& step : shortest.way()) std::printf("  %s\n", step.c_str());
    std::printf("BROKEN after %d steps: %s\n", depth, shortest.broken().c_str());
    break;
  }
  return false;
}

int Main(const std::vector<std::string>& words) {
  Run asked{"asked for", {}, 10};
  const std::map<std::string, int*> settings{{"--depth", &asked.depth},
                                             {"--faults", &asked.scope.faults},
                                             {"--appends", &asked.scope.appends},
                                             {"--takeovers", &asked.scope.takeovers},
                                             {"--rolls", &asked.scope.rolls}};
  for (size_t i = 1; i < words.size(); i += 2) {
    const auto setting = settings.find(words[i]);
    if (setting == settings.end() || i + 1 == words.size() ||
        !absl::SimpleAtoi(words[i + 1], setting->second) || *setting->second < 0 ||
        *setting->second > 100) {
      std::fprintf(stderr,
                   "usage: exploration_test [--depth N] [--faults N] [--appends N] "
                   "[--takeovers N] [--rolls N]\n");
      return 2;
    }
  }
  if (words.size() > 1) return Explore(asked) ? 0 : 1;
  const Run normal[] = {
      {"a takeover", {.faults = 0, .appends = 1, .takeovers = 1, .rolls = 0}, 14},
      {"two takeovers", {.faults = 0, .appends = 2, .takeovers = 2, .rolls = 0}, 9},
      {"a roll and a takeover", {.faults = 0, .appends = 2, .takeovers = 1, .rolls = 1}, 9},
      {"a fault and a takeover", {.faults = 1, .appends = 1, .takeovers = 1, .rolls = 0}, 11},
      {"three faults", {.faults = 3, .appends = 3, .takeovers = 2, .rolls = 1}, 6},
  };
  bool holds = true;
  for (const Run& run : normal) holds = Explore(run) && holds;
  return holds ? 0 : 1;
}

}  // namespace
}  // namespace forebay

int main(int argc, char** argv) {
  return forebay::Main(std::vector<std::string>(argv, argv + argc));
}
