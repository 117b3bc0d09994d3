// Runs the production classes in simulated worlds and checks the promises after every step.
//
//   simulation_test                      the seeds of the normal test run, in two processes
//   simulation_test --seed 42 [--trace]  one seed; --trace tells everything that happens
//   simulation_test --seeds 1..5000      many seeds, in two processes; stops at the first failure
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/log.h"
#include "simulation/world.h"

namespace forebay {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kNormalSeeds = 100;  // sanitizers make it several times slower
#else
constexpr uint64_t kNormalSeeds = 500;
#endif
constexpr int kProcesses = 2;
constexpr char kHealTime[] = "heal ms";  // the longest is reported
constexpr size_t kLastEvents = 60;

uint64_t running_seed = 0;

// A failed FOREBAY_CHECK aborts: at least say where.
void OnAbort(int) {
  std::fprintf(stderr, "SEED %llu ABORTED\nreplay: simulation_test --seed %llu --trace\n",
               static_cast<unsigned long long>(running_seed),
               static_cast<unsigned long long>(running_seed));
}

struct RunResult {
  std::optional<std::string> broken;
  std::map<std::string, uint64_t> counters;
  absl::Duration simulated;
  uint64_t steps = 0;
};

RunResult RunSeed(uint64_t seed, TraceLine trace) {
  running_seed = seed;
  World world(seed, DrawPlan(seed), std::move(trace));
  const absl::Time start = world.simulation().Now();
  world.Start();
  if (world.RunWithFaults()) world.RunUntilQuiet();
  return {world.invariants().broken(), world.Counters(), world.simulation().Now() - start,
          world.simulation().steps()};
}

void Report(uint64_t seed, const std::string& broken) {
  std::deque<std::string> last;
  RunSeed(seed, [&last](const std::string& line) {
    last.push_back(line);
    if (last.size() > kLastEvents) last.pop_front();
  });
  for (const std::string& line : last) std::fprintf(stderr, "  %s\n", line.c_str());
  std::fprintf(stderr, "plan: %s\n", DrawPlan(seed).ToString().c_str());
  std::fprintf(stderr, "SEED %llu BROKE %s\nreplay: simulation_test --seed %llu --trace\n",
               static_cast<unsigned long long>(seed), broken.c_str(),
               static_cast<unsigned long long>(seed));
}

int RunOne(uint64_t seed, bool trace) {
  TraceLine line;
  if (trace) line = [](const std::string& text) { std::puts(text.c_str()); };
  const RunResult result = RunSeed(seed, line);
  for (const auto& [name, count] : result.counters) {
    std::printf("%-24s %llu\n", name.c_str(), static_cast<unsigned long long>(count));
  }
  if (!result.broken) return 0;
  Report(seed, *result.broken);
  return 1;
}

// Every `stride`th seed. Returns how many failed.
int RunMany(uint64_t first, uint64_t last, uint64_t stride) {
  std::map<std::string, uint64_t> totals;
  absl::Duration simulated;
  uint64_t steps = 0, passed = 0;
  int failed = 0;
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t seed = first; seed <= last && failed < 3; seed += stride) {
    const RunResult result = RunSeed(seed, nullptr);
    for (const auto& [name, count] : result.counters) {
      totals[name] = name == kHealTime ? std::max(totals[name], count) : totals[name] + count;
    }
    simulated += result.simulated;
    steps += result.steps;
    if (result.broken) {
      Report(seed, *result.broken);
      failed++;
    } else {
      passed++;
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::string out = absl::StrCat(
      "seeds ", first, "..", last, " step ", stride, ": ", passed, " passed, ", failed,
      " failed; simulated ", absl::FormatDuration(absl::Trunc(simulated, absl::Seconds(1))), ", ",
      absl::ToDoubleSeconds(simulated) / seconds, " s per second, ", steps, " steps\n");
  for (const auto& [name, count] : totals) absl::StrAppend(&out, "  ", name, ": ", count, "\n");
  std::fputs(out.c_str(), stdout);
  return failed;
}

int RunInProcesses(uint64_t first, uint64_t last) {
  std::fflush(stdout);
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; i++) {
    const pid_t child = fork();
    if (child == 0) {
      const int failed = RunMany(first + static_cast<uint64_t>(i), last, kProcesses);
      std::fflush(stdout);
      _exit(failed == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  int worst = 0;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) worst = 1;
  }
  return worst;
}

int Main(const std::vector<std::string>& arguments) {
  bool trace = false;
  std::optional<uint64_t> seed;
  std::pair<uint64_t, uint64_t> range(1, kNormalSeeds);
  for (size_t i = 1; i < arguments.size(); i++) {
    const bool has_value = i + 1 < arguments.size();
    uint64_t number = 0;
    if (arguments[i] == "--trace") {
      trace = true;
    } else if (arguments[i] == "--seed" && has_value &&
               absl::SimpleAtoi(arguments[i + 1], &number)) {
      seed = number;
      i++;
    } else if (arguments[i] == "--seeds" && has_value) {
      const std::vector<std::string> ends = absl::StrSplit(arguments[i + 1], "..");
      if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &range.first) ||
          !absl::SimpleAtoi(ends[1], &range.second)) {
        std::fprintf(stderr, "--seeds needs FIRST..LAST\n");
        return 2;
      }
      i++;
    } else {
      std::fprintf(stderr, "usage: simulation_test [--seed N [--trace]] [--seeds A..B]\n");
      return 2;
    }
  }
  std::signal(SIGABRT, OnAbort);
  SetUpLog(LogFormat::kHuman, trace ? LogLevel::kInfo : LogLevel::kError, "simulation");
  return seed ? RunOne(*seed, trace) : RunInProcesses(range.first, range.second);
}

}  // namespace
}  // namespace forebay

int main(int argc, char** argv) {
  return forebay::Main(std::vector<std::string>(argv, argv + argc));
}
