#include "simulation/fault.h"

#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace forebay {
namespace {

constexpr char kNoisePrefix[] = "noise=";

constexpr const char* kFaults[] = {"kill",
                                   "freeze",
                                   "power-cut",
                                   "power-cut-some",
                                   "zone-down",
                                   "wipe",
                                   "replace",
                                   "evacuate",
                                   "add-node",
                                   "torn-log",
                                   "lost-syncs",
                                   "damage",
                                   "misdirect",
                                   "fail-sync",
                                   "disk-full",
                                   "slow-disk",
                                   "stall-disk",
                                   "stop",
                                   "rolling-restart",
                                   "rolling-upgrade",
                                   "clock-jump",
                                   "isolate",
                                   "cut-link",
                                   "flap",
                                   "client-cut",
                                   "client-crash",
                                   "metadata-node",
                                   "metadata-all",
                                   "metadata-slow",
                                   "sink-down",
                                   "sink-timeout",
                                   "take-over",
                                   "hand-over",
                                   "race",
                                   "lie"};
static_assert(std::size(kFaults) == static_cast<size_t>(Fault::kCount));

constexpr const char* kStates[] = {"appending", "rolling", "fencing",   "copying",
                                   "swapping",  "repair",  "hand-over", "draining"};
static_assert(std::size(kStates) == static_cast<size_t>(ProtocolState::kCount));

constexpr const char* kNoises[] = {"links", "client-links", "metadata", "sinks"};
static_assert(std::size(kNoises) == static_cast<size_t>(Noise::kCount));

template <typename Enum>
std::optional<Enum> Named(const std::string& name) {
  for (int i = 0; i < static_cast<int>(Enum::kCount); i++) {
    if (name == NameOf(static_cast<Enum>(i))) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

// "12.345:kill@copying#4711"
std::optional<FaultEvent> ParseEvent(const std::string& text) {
  const std::pair<std::string, std::string> time = absl::StrSplit(text, absl::MaxSplits(':', 1));
  const std::pair<std::string, std::string> dice =
      absl::StrSplit(time.second, absl::MaxSplits('#', 1));
  const std::pair<std::string, std::string> name =
      absl::StrSplit(dice.first, absl::MaxSplits('@', 1));
  double seconds = 0;
  FaultEvent event;
  const auto fault = Named<Fault>(name.first);
  if (!absl::SimpleAtod(time.first, &seconds) || !absl::SimpleAtoi(dice.second, &event.dice) ||
      !fault) {
    return std::nullopt;
  }
  event.at = absl::Milliseconds(std::llround(seconds * 1000));
  event.fault = *fault;
  if (!name.second.empty()) {
    event.when = Named<ProtocolState>(name.second);
    if (!event.when) return std::nullopt;
  }
  return event;
}

}  // namespace

const char* NameOf(Fault fault) { return kFaults[static_cast<size_t>(fault)]; }
const char* NameOf(ProtocolState state) { return kStates[static_cast<size_t>(state)]; }
const char* NameOf(Noise noise) { return kNoises[static_cast<size_t>(noise)]; }

std::string FaultScript::ToString() const {
  std::string out =
      absl::StrCat(kNoisePrefix, absl::StrJoin(noise, ",", [](std::string* text, Noise one) {
                     absl::StrAppend(text, NameOf(one));
                   }));
  for (const FaultEvent& event : events) {
    absl::StrAppendFormat(&out, ";%.3f:%s", absl::ToDoubleSeconds(event.at), NameOf(event.fault));
    if (event.when) absl::StrAppend(&out, "@", NameOf(*event.when));
    absl::StrAppend(&out, "#", event.dice);
  }
  return out;
}

absl::StatusOr<FaultScript> FaultScript::Parse(const std::string& text) {
  FaultScript script;
  for (const absl::string_view part_view : absl::StrSplit(text, ';', absl::SkipWhitespace())) {
    const std::string part(part_view);
    const auto wrong = [&] {
      return absl::InvalidArgumentError(absl::StrCat("a script has no part like '", part, "'"));
    };
    if (part.starts_with(kNoisePrefix)) {
      for (const absl::string_view name :
           absl::StrSplit(part.substr(sizeof(kNoisePrefix) - 1), ',', absl::SkipEmpty())) {
        const auto noise = Named<Noise>(std::string(name));
        if (!noise) return wrong();
        script.noise.insert(*noise);
      }
      continue;
    }
    const auto event = ParseEvent(part);
    if (!event) return wrong();
    script.events.push_back(*event);
  }
  return script;
}

}  // namespace forebay
