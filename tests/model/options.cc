#include "model/options.h"

#include <charconv>
#include <map>
#include <string_view>

namespace forebay::model {
namespace {

std::map<std::string_view, bool*> Guards(Options& o) {
  return {{"ack-epoch", &o.ack_epoch},
          {"anywhere", &o.anywhere},
          {"by-epoch", &o.by_epoch},
          {"cas-first", &o.cas_first},
          {"contiguous", &o.contiguous},
          {"copy-first", &o.copy_first},
          {"dedup-cut", &o.dedup_cut},
          {"dedup-rebuild", &o.dedup_rebuild},
          {"deliver-committed", &o.deliver_committed},
          {"fence-check", &o.fence_check},
          {"fence-durable", &o.fence_durable},
          {"fence-order", &o.fence_order},
          {"fence-then-read", &o.fence_then_read},
          {"fenced-silent", &o.fenced_silent},
          {"limbo-refuses", &o.limbo_refuses},
          {"limbo-unknown", &o.limbo_unknown},
          {"never-under", &o.never_under},
          {"no-resume", &o.no_resume},
          {"readable-end", &o.readable_end},
          {"repair-fences", &o.repair_fences},
          {"repeat-waits", &o.repeat_waits},
          {"roll-freezes", &o.roll_freezes},
          {"roll-settles", &o.roll_settles},
          {"segment-rule", &o.segment_rule},
          {"settle-own-segment", &o.settle_own_segment},
          {"sink-epoch", &o.sink_epoch},
          {"sink-offset", &o.sink_offset},
          {"tight-end", &o.tight_end},
          {"under-holds-delivery", &o.under_holds_delivery},
          {"under-holds-settle", &o.under_holds_settle}};
}

// Steps of the world that can be left out, so that more of the others fit.
std::map<std::string_view, bool*> Parts(Options& o) {
  return {{"drain", &o.drain},
          {"kill", &o.kill},
          {"roll", &o.roll},
          {"trace", &o.trace},
          {"wipe", &o.wipe}};
}

std::map<std::string_view, bool*> Switches(Options& o) {
  return {{"degraded", &o.degraded},
          {"liveness", &o.liveness},
          {"split", &o.split},
          {"two-replicas", &o.two_replicas}};
}

struct Number {
  int* value;
  int min, max;
};

std::map<std::string_view, Number> Numbers(Options& o) {
  return {{"blocks", {&o.blocks, 1, 2}}, {"producers", {&o.producers, 1, 2}},
          {"epochs", {&o.epochs, 2, 4}}, {"crashes", {&o.crashes, 0, 255}},
          {"losses", {&o.losses, 0, 1}}, {"takers", {&o.takers, 1, 3}}};
}

bool SetFlag(const std::map<std::string_view, bool*>& flags, std::string_view name, bool value) {
  const auto found = flags.find(name);
  if (found == flags.end()) return false;
  *found->second = value;
  return true;
}

// "name=number", within its limits.
std::string SetNumber(Options& options, std::string_view name, std::string_view text) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return "not a number: " + std::string(text);
  if (name == "states-max") {
    if (value < 1 || value > options.states_max) return "states-max is 1 to 200000000";
    options.states_max = static_cast<uint32_t>(value);
    return "";
  }
  const auto numbers = Numbers(options);
  const auto found = numbers.find(name);
  if (found == numbers.end()) return "unknown option --" + std::string(name);
  const Number& number = found->second;
  if (value < number.min || value > number.max)
    return std::string(name) + " is " + std::to_string(number.min) + " to " +
           std::to_string(number.max);
  *number.value = static_cast<int>(value);
  return "";
}

std::string ReadOption(std::string_view argument, Options& options) {
  if (!argument.starts_with("--")) return "unknown argument " + std::string(argument);
  const std::string_view name = argument.substr(2);
  if (const size_t equals = name.find('='); equals != std::string_view::npos)
    return SetNumber(options, name.substr(0, equals), name.substr(equals + 1));
  bool known = SetFlag(Switches(options), name, true);
  if (name.starts_with("no-")) known = known || SetFlag(Parts(options), name.substr(3), false);
  if (name.starts_with("without-"))
    known = known || SetFlag(Guards(options), name.substr(8), false);
  if (name == "seal-by-ack-quorum" || name == "seal-by-any-answer") {
    options.seal =
        name == "seal-by-ack-quorum" ? Options::Seal::kAckQuorum : Options::Seal::kAnyAnswer;
    known = true;
  }
  return known ? "" : "unknown option " + std::string(argument);
}

}  // namespace

std::string ReadOptions(const std::vector<std::string>& arguments, Options& options) {
  for (const std::string& argument : arguments)
    if (std::string wrong = ReadOption(argument, options); !wrong.empty()) return wrong;
  return "";
}

}  // namespace forebay::model
