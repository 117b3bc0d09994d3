// Runs the production classes in simulated worlds and checks the promises after every step.
//
//   simulation_test                      known seeds, then new ones, in two processes; asks that
//                                        every important fault met every state of the protocol
//   simulation_test --seed 42 [--trace]  one seed; --trace tells everything that happens
//   simulation_test --seed 42 --script S the same world with other faults, as a failure prints them
//   simulation_test --seeds 1..5000      many seeds, in two processes; stops at the third failure
//
// The new seeds begin at FOREBAY_SEEDS_FROM, or at a number given by the time; the range is
// printed.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "runtime/log.h"
#include "simulation/seed_run.h"

namespace forebay {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kKnownSeeds = 80, kNewSeeds = 20;  // sanitizers make it several times slower
constexpr bool kFullRange = false;
#else
constexpr uint64_t kKnownSeeds = 500, kNewSeeds = 150;
constexpr bool kFullRange = true;
#endif
constexpr int kProcesses = 2;
constexpr uint64_t kFailuresMax = 3;

struct SeedRange {
  uint64_t first = 0, last = 0;
};

// What the processes tell each other besides their totals.
struct Shared {
  std::array<uint64_t, kProcesses> running_seed{};
};

Shared& MakeShared() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FOREBAY_CHECK(memory != MAP_FAILED, "no shared memory");
  return *new (memory) Shared();
}

// Every kProcesses-th seed, from the index-th on.
SeedTotals RunShare(SeedRange range, int index, uint64_t& running_seed) {
  SeedTotals totals;
  for (uint64_t seed = range.first + static_cast<uint64_t>(index);
       seed <= range.last && totals.failed < kFailuresMax; seed += kProcesses) {
    running_seed = seed;
    const Plan plan = DrawPlan(seed);
    const SeedResult result = RunSeed(seed, plan, nullptr);
    totals.Add(result);
    if (result.broken) ReportFailure(seed, plan, *result.broken);
  }
  return totals;
}

SeedTotals RunInProcesses(SeedRange range) {
  std::fflush(nullptr);
  Shared& shared = MakeShared();
  std::vector<std::pair<pid_t, FILE*>> children;
  for (int i = 0; i < kProcesses; i++) {
    FILE* answer = std::tmpfile();
    FOREBAY_CHECK(answer != nullptr, "no temporary file");
    const pid_t child = fork();
    if (child == 0) {
      // Nodes whose disks fail say so, thousands of times.
      FOREBAY_CHECK(std::freopen("/dev/null", "w", stderr) != nullptr, "no /dev/null");
      const std::string text = RunShare(range, i, shared.running_seed[i]).Encode();
      std::fwrite(text.data(), 1, text.size(), answer);
      std::fflush(nullptr);
      _exit(0);
    }
    children.emplace_back(child, answer);
  }
  SeedTotals totals;
  for (int i = 0; i < kProcesses; i++) {
    const auto [child, answer] = children[static_cast<size_t>(i)];
    int status = 0;
    waitpid(child, &status, 0);
    std::string text(1 << 20, '\0');
    std::rewind(answer);
    text.resize(std::fread(text.data(), 1, text.size(), answer));
    std::fclose(answer);
    totals.Add(SeedTotals::Decode(text));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    const uint64_t seed = shared.running_seed[static_cast<size_t>(i)];
    const Plan plan = DrawPlan(seed);
    ReportFailure(seed, plan, RunSeedApart(seed, plan).value_or("ABORTED, but not again"));
    totals.failed++;
  }
  munmap(&shared, sizeof(Shared));
  return totals;
}

SeedTotals RunRange(SeedRange range) {
  std::printf("seeds %llu..%llu\n", static_cast<unsigned long long>(range.first),
              static_cast<unsigned long long>(range.last));
  const auto start = std::chrono::steady_clock::now();
  SeedTotals totals = RunInProcesses(range);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf(
      "seeds %llu..%llu: %llu passed, %llu failed; %.1f simulated hours in %.1f s, %.3f "
      "simulated hours per second, %llu steps\n",
      static_cast<unsigned long long>(range.first), static_cast<unsigned long long>(range.last),
      static_cast<unsigned long long>(totals.passed),
      static_cast<unsigned long long>(totals.failed), absl::ToDoubleHours(totals.simulated),
      seconds, absl::ToDoubleHours(totals.simulated) / seconds,
      static_cast<unsigned long long>(totals.steps));
  return totals;
}

void Print(const SeedTotals& totals) {
  for (const auto& [name, count] : totals.counters) {
    std::printf("  %-24s %llu\n", name.c_str(), static_cast<unsigned long long>(count));
  }
  std::fputs(totals.coverage.Table().c_str(), stdout);
}

// New ones in every run, so that many runs see many worlds.
SeedRange NewSeeds() {
  uint64_t first = 0;
  const char* from = std::getenv("FOREBAY_SEEDS_FROM");
  if (from == nullptr || !absl::SimpleAtoi(from, &first)) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
    first = static_cast<uint64_t>(seconds) * 1000;
  }
  return {first, first + kNewSeeds - 1};
}

// States of the drain that a normal run has to reach and did not. The other two need a sink that
// holds no progress, or one that lost more than was kept for it: drain_test has them.
std::vector<std::string> DrainStatesMissed(SeedTotals& totals) {
  std::vector<std::string> missed;
  for (size_t i = 0; i < static_cast<size_t>(DrainState::kCount); i++) {
    const auto state = static_cast<DrainState>(i);
    if (state == DrainState::kFindingStart || state == DrainState::kMissingBlocks) continue;
    const std::string counter = DrainCounter(state);
    if (totals.counters[counter] == 0) missed.push_back(counter);
  }
  return missed;
}

int RunNormal() {
  SeedTotals totals = RunRange({1, kKnownSeeds});
  std::vector<std::string> missing = totals.coverage.Missing();
  for (const std::string& state : DrainStatesMissed(totals)) missing.push_back(state);
  if (totals.failed == 0) totals.Add(RunRange(NewSeeds()));
  Print(totals);
  if (totals.failed > 0) return 1;
  if (!kFullRange || missing.empty()) return 0;
  std::fprintf(stderr, "in the known seeds no fault met, or no sink was in: %s\n",
               absl::StrJoin(missing, " ").c_str());
  return 1;
}

int RunOne(uint64_t seed, const Plan& plan, bool trace) {
  // An abort is shortened as well, which takes processes that may die.
  if (!trace) {
    if (const auto broken = RunSeedApart(seed, plan)) {
      ReportFailure(seed, plan, *broken);
      return 1;
    }
  }
  TraceLine line;
  if (trace) line = [](const std::string& text) { std::puts(text.c_str()); };
  const SeedResult result = RunSeed(seed, plan, line);
  SeedTotals totals;
  totals.Add(result);
  Print(totals);
  if (!result.broken) return 0;
  std::printf("plan: %s\nscript: %s\nSEED %llu BROKE %s\n", plan.ToString().c_str(),
              plan.script.ToString().c_str(), static_cast<unsigned long long>(seed),
              result.broken->c_str());
  return 1;
}

struct Arguments {
  bool trace = false;
  std::optional<uint64_t> seed;
  std::optional<SeedRange> range;
  std::optional<FaultScript> script;
};

std::optional<Arguments> Parse(const std::vector<std::string>& words) {
  Arguments arguments;
  for (size_t i = 1; i < words.size(); i++) {
    if (words[i] == "--trace") {
      arguments.trace = true;
      continue;
    }
    if (i + 1 == words.size()) return std::nullopt;
    const std::string& value = words[i + 1];
    if (words[i] == "--seed") {
      if (!absl::SimpleAtoi(value, &arguments.seed.emplace())) return std::nullopt;
    } else if (words[i] == "--script") {
      auto script = FaultScript::Parse(value);
      if (!script.ok()) {
        std::fprintf(stderr, "%s\n", script.status().ToString().c_str());
        return std::nullopt;
      }
      arguments.script = *std::move(script);
    } else if (words[i] == "--seeds") {
      const std::vector<std::string> ends = absl::StrSplit(value, "..");
      SeedRange& range = arguments.range.emplace();
      if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &range.first) ||
          !absl::SimpleAtoi(ends[1], &range.last)) {
        return std::nullopt;
      }
    } else {
      return std::nullopt;
    }
    i++;
  }
  if (arguments.script && !arguments.seed) return std::nullopt;
  return arguments;
}

int Main(const std::vector<std::string>& words) {
  const auto arguments = Parse(words);
  if (!arguments) {
    std::fprintf(stderr,
                 "usage: simulation_test [--seed N [--script S] [--trace]] [--seeds A..B]\n");
    return 2;
  }
  SetUpLog(LogFormat::kHuman, arguments->trace ? LogLevel::kInfo : LogLevel::kError, "simulation");
  if (arguments->seed) {
    Plan plan = DrawPlan(*arguments->seed);
    if (arguments->script) Replace(plan, *arguments->script);
    return RunOne(*arguments->seed, plan, arguments->trace);
  }
  if (!arguments->range) return RunNormal();
  const SeedTotals totals = RunRange(*arguments->range);
  Print(totals);
  return totals.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace forebay

int main(int argc, char** argv) {
  return forebay::Main(std::vector<std::string>(argv, argv + argc));
}
