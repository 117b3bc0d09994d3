#include "load/bench_options.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/units.h"

namespace forebay {
namespace {

constexpr uint64_t kEventBytesMin = 100;
constexpr uint64_t kEventBytesMax = 1'000'000;
constexpr uint64_t kWeightMax = 1'000'000;
constexpr uint64_t kInFlight = 20'000;
// More than the nodes' windows hold would only wait in the clients.
constexpr double kInFlightBytesMax = 128 << 20;

absl::Status Wrong(const std::string& message) { return absl::InvalidArgumentError(message); }

// Words of a list, each one of `all`, in the order of `all`.
template <typename Word>
absl::StatusOr<std::vector<Word>> ParseWords(const std::string& text, const std::string& what,
                                             const std::vector<Word>& all) {
  std::vector<std::string> names;
  for (const Word word : all) names.emplace_back(NameOf(word));
  std::vector<bool> asked(all.size());
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(text, ','))) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      const std::string nearest = Nearest(name, names);
      return Wrong(
          absl::StrCat("'", name, "' is no ", what,
                       nearest.empty() ? "" : absl::StrCat("; did you mean '", nearest, "'"),
                       nearest.empty() ? "; write" : "? Write", " one or more of ",
                       absl::StrJoin(names, ","), ", with commas between"));
    }
    asked[static_cast<size_t>(found - names.begin())] = true;
  }
  std::vector<Word> words;
  for (size_t i = 0; i < all.size(); ++i) {
    if (asked[i]) words.push_back(all[i]);
  }
  return words;
}

absl::StatusOr<SizeShare> ParseSizeShare(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  const absl::StatusOr<uint64_t> bytes = ParseSizeText(parts.front());
  SizeShare share{.bytes = bytes.value_or(0)};
  const bool weighed =
      parts.size() == 1 || (parts.size() == 2 && absl::SimpleAtoi(parts[1], &share.weight) &&
                            share.weight >= 1 && share.weight <= kWeightMax);
  if (!bytes.ok() || !weighed) {
    return Wrong(absl::StrCat("'", text,
                              "' is not a size with a weight; write a size, as in 400 or 1KiB, or "
                              "sizes with how many of them there are, as in "
                              "200:70,1024:25,16KiB:5"));
  }
  if (share.bytes < kEventBytesMin || share.bytes > kEventBytesMax) {
    return Wrong(absl::StrCat("an event of ", share.bytes, " bytes cannot be made up; give ",
                              kEventBytesMin, " to ", kEventBytesMax));
  }
  return share;
}

absl::Status CheckPhases(const BenchOptions& options) {
  for (const BenchPhase phase :
       {BenchPhase::kBacklog, BenchPhase::kCatchUp, BenchPhase::kFailover}) {
    if (options.own_nodes() || !options.Has(phase)) continue;
    return Wrong(absl::StrCat("the phase ", NameOf(phase),
                              " holds up or breaks nodes, so it runs on nodes of its own only: "
                              "leave --nodes (or FOREBAY_NODES) out, add --self-contained, or take "
                              "the phase out of --phases"));
  }
  if (options.Has(BenchPhase::kCatchUp) && !options.Has(BenchPhase::kBacklog)) {
    return Wrong(
        "the phase catch-up drains what the phase backlog has filled: write "
        "--phases backlog,catch-up");
  }
  return absl::OkStatus();
}

}  // namespace

const char* NameOf(BenchPhase phase) {
  switch (phase) {
    case BenchPhase::kClosed:
      return "closed";
    case BenchPhase::kOpen:
      return "open";
    case BenchPhase::kBacklog:
      return "backlog";
    case BenchPhase::kCatchUp:
      return "catch-up";
    case BenchPhase::kFailover:
      break;
  }
  return "failover";
}

const char* NameOf(BenchFault fault) {
  switch (fault) {
    case BenchFault::kKill:
      return "kill";
    case BenchFault::kFreeze:
      return "freeze";
    case BenchFault::kCut:
      return "cut";
    case BenchFault::kRestart:
      break;
  }
  return "restart";
}

bool BenchOptions::Has(BenchPhase phase) const {
  return std::find(phases.begin(), phases.end(), phase) != phases.end();
}

uint64_t BenchOptions::InFlight(double event_bytes_mean) const {
  const auto fits = static_cast<uint64_t>(kInFlightBytesMax / event_bytes_mean);
  return in_flight.value_or(std::clamp(fits, static_cast<uint64_t>(producers), kInFlight));
}

absl::StatusOr<std::vector<BenchPhase>> ParsePhases(const std::string& text) {
  return ParseWords<BenchPhase>(text, "phase",
                                {BenchPhase::kClosed, BenchPhase::kOpen, BenchPhase::kBacklog,
                                 BenchPhase::kCatchUp, BenchPhase::kFailover});
}

absl::StatusOr<std::vector<BenchFault>> ParseFaults(const std::string& text) {
  return ParseWords<BenchFault>(
      text, "fault",
      {BenchFault::kKill, BenchFault::kFreeze, BenchFault::kCut, BenchFault::kRestart});
}

absl::StatusOr<std::vector<SizeShare>> ParseSizeMix(const std::string& text) {
  std::vector<SizeShare> mix;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, ','))) {
    const absl::StatusOr<SizeShare> share = ParseSizeShare(part);
    if (!share.ok()) return share.status();
    mix.push_back(*share);
  }
  return mix;
}

absl::Status Check(const BenchOptions& options) {
  absl::Status status = CheckPhases(options);
  if (!status.ok()) return status;
  if (options.events.key_skew > 0 && options.events.keys.value_or(0) == 0) {
    return Wrong(
        "--key-skew says how unequal the keys of --keys are: add --keys, as in --keys "
        "10000 --key-skew 1");
  }
  if (options.sink != "sqlite" && options.sink.rfind("sqlite:", 0) != 0) {
    return Wrong(absl::StrCat("--sink is '", options.sink,
                              "', but the bench can hold up an SQLite file only: write sqlite, or "
                              "sqlite:FILE"));
  }
  const auto producers = static_cast<uint64_t>(options.producers);
  if (options.in_flight.value_or(producers) < producers) {
    return Wrong(absl::StrCat("--in-flight is ", *options.in_flight, " events of ", producers,
                              " producers: give at least one for each"));
  }
  return absl::OkStatus();
}

}  // namespace forebay
