#include "simulation/seed_run.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <deque>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "simulation/shrink.h"

namespace forebay {
namespace {

constexpr char kHealTime[] = "heal ms";  // the longest is reported
constexpr size_t kLastEvents = 60;
constexpr int kShrinkRuns = 250;
constexpr char kAborted[] = "ABORTED";
constexpr std::string_view kVerdict = "\nVERDICT:";

void Merge(std::map<std::string, uint64_t>& totals, const std::string& name, uint64_t count) {
  uint64_t& total = totals[name];
  total = name == kHealTime ? std::max(total, count) : total + count;
}

// "I1/G1: s/0@3 is held by ..." -> "I1/G1"
std::string InvariantOf(const std::string& broken) { return broken.substr(0, broken.find(':')); }

void PrintLastEvents(uint64_t seed, const Plan& plan) {
  std::deque<std::string> last;
  RunSeed(seed, plan, [&last](const std::string& line) {
    last.push_back(line);
    if (last.size() > kLastEvents) last.pop_front();
  });
  for (const std::string& line : last) std::printf("  %s\n", line.c_str());
}

}  // namespace

SeedResult RunSeed(uint64_t seed, const Plan& plan, TraceLine trace) {
  World world(seed, plan, std::move(trace));
  const absl::Time start = world.simulation().Now();
  world.Start();
  if (world.RunWithFaults()) world.RunUntilQuiet();
  return {world.invariants().broken(), world.Counters(), world.coverage(),
          world.simulation().Now() - start, world.simulation().steps()};
}

std::optional<std::string> RunSeedApart(uint64_t seed, const Plan& plan) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    dup2(ends[1], STDERR_FILENO);  // where a failed check says what it is
    const std::string text =
        std::string(kVerdict) + RunSeed(seed, plan, nullptr).broken.value_or("");
    const bool written = write(ends[1], text.data(), text.size()) >= 0;
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  std::array<char, 1024> bytes;
  for (ssize_t got = 0; (got = read(ends[0], bytes.data(), bytes.size())) > 0;) {
    text.append(bytes.data(), static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    text.erase(text.find_last_not_of('\n') + 1);
    return absl::StrCat(kAborted, ": ", text.substr(text.rfind('\n') + 1));
  }
  text.erase(0, text.rfind(kVerdict) + kVerdict.size());
  if (text.empty()) return std::nullopt;
  return text;
}

void ReportFailure(uint64_t seed, const Plan& plan, const std::string& broken) {
  const std::string invariant = InvariantOf(broken);
  int runs = 0;
  auto with = [&](const FaultScript& script) {
    Plan shorter = plan;
    Replace(shorter, script);
    return shorter;
  };
  const FaultScript script = Shrink(
      plan.script,
      [&](const FaultScript& candidate) {
        runs++;
        const auto result = RunSeedApart(seed, with(candidate));
        return result && InvariantOf(*result) == invariant;
      },
      kShrinkRuns);
  if (invariant != kAborted) PrintLastEvents(seed, with(script));
  const auto number = static_cast<unsigned long long>(seed);
  std::printf("plan: %s\nSEED %llu BROKE %s\n", plan.ToString().c_str(), number, broken.c_str());
  std::printf("%zu of %zu faults are enough (%d runs)\n", script.events.size(),
              plan.script.events.size(), runs);
  std::printf("replay: simulation_test --seed %llu --trace\n", number);
  std::printf("replay: simulation_test --seed %llu --trace --script '%s'\n", number,
              script.ToString().c_str());
}

void SeedTotals::Add(const SeedResult& result) {
  (result.broken ? failed : passed)++;
  steps += result.steps;
  simulated += result.simulated;
  for (const auto& [name, count] : result.counters) Merge(counters, name, count);
  coverage.Add(result.coverage);
}

void SeedTotals::Add(const SeedTotals& other) {
  passed += other.passed;
  failed += other.failed;
  steps += other.steps;
  simulated += other.simulated;
  for (const auto& [name, count] : other.counters) Merge(counters, name, count);
  coverage.Add(other.coverage);
}

// Lines of numbers, then names.
std::string SeedTotals::Encode() const {
  std::string out = absl::StrCat(passed, " ", failed, " ", steps, " ",
                                 absl::ToInt64Milliseconds(simulated), "\n");
  for (int f = 0; f < static_cast<int>(Fault::kCount); f++) {
    for (int s = 0; s < static_cast<int>(ProtocolState::kCount); s++) {
      absl::StrAppend(&out, coverage.At(static_cast<Fault>(f), static_cast<ProtocolState>(s)), " ");
    }
  }
  for (const auto& [name, count] : counters) absl::StrAppend(&out, "\n", count, " ", name);
  return out;
}

SeedTotals SeedTotals::Decode(const std::string& text) {
  SeedTotals totals;
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.size() < 2) return totals;
  const auto numbers = [](const std::string& line) {
    std::vector<uint64_t> out;
    for (const absl::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
      out.push_back(std::stoull(std::string(word)));
    }
    return out;
  };
  const std::vector<uint64_t> sums = numbers(lines[0]);
  totals.passed = sums.at(0);
  totals.failed = sums.at(1);
  totals.steps = sums.at(2);
  totals.simulated = absl::Milliseconds(static_cast<int64_t>(sums.at(3)));
  const std::vector<uint64_t> cells = numbers(lines[1]);
  const auto states = static_cast<size_t>(ProtocolState::kCount);
  for (size_t i = 0; i < cells.size(); i++) {
    totals.coverage.Count(static_cast<Fault>(i / states), static_cast<ProtocolState>(i % states),
                          cells[i]);
  }
  for (size_t i = 2; i < lines.size(); i++) {
    const std::pair<std::string, std::string> entry =
        absl::StrSplit(lines[i], absl::MaxSplits(' ', 1));
    totals.counters[entry.second] = std::stoull(entry.first);
  }
  return totals;
}

}  // namespace forebay
