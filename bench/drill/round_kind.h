// What the rounds of a drill do to a cluster: one kind of fault, again and again, under load.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "drill/drill_bed.h"
#include "runtime/random.h"

namespace forebay {

// What a kind of round works with: a cluster under load. Confined to the drill's thread.
class RoundStage {
 public:
  RoundStage(const DrillOptions& options, DrillBed& bed, Random& random, Round& round)
      : options_(options), bed_(bed), random_(random), round_(round) {}

  const DrillOptions& options() const { return options_; }
  DrillBed& bed() { return bed_; }
  LocalCluster& cluster() { return bed_.cluster(); }
  // Draw everything from it, in an order that depends on nothing else: a seed then repeats a drill.
  Random& random() { return random_; }
  // From 1.
  int number() const { return round_.number; }

  // The fault begins now; `what` is the round's description in the table.
  void Begin(std::string what);
  // The description, once more is known.
  void Describe(std::string what) { round_.what = std::move(what); }
  // Something to add to the description.
  void Add(const std::string& what) { round_.what += what; }
  // What the round's flipped bit came to.
  void Tell(FlippedBit flip) { round_.flip = std::move(flip); }
  // The fault is in effect: what was sent before may have been acknowledged before.
  void InEffect() { round_.in_effect = bed_.clock().Now(); }
  // Nothing is broken any more. From now on counts how long full replication takes.
  void End() { round_.ended = bed_.clock().Now(); }

  // Lets the load run.
  absl::Status Spend(absl::Duration duration);
  // The same until `done`, which is asked all the time. DEADLINE_EXCEEDED names `what`.
  absl::Status WaitUntil(const std::function<bool()>& done, absl::Duration limit,
                         const std::string& what);
  // Every node that takes part and every owner was up at a look after `time`, and every copy was
  // seen since.
  bool WholeSince(absl::Time time) const;

 private:
  std::string Doing() const;

  const DrillOptions& options_;
  DrillBed& bed_;
  Random& random_;
  Round& round_;
};

// A kind is one file that makes one of these, declared below and listed in RoundKinds().
struct RoundKind {
  std::string name;     // of --rounds
  std::string meaning;  // for --help
  // Asks for what it needs of the cluster. Called on the drill's thread before anything is started.
  // INVALID_ARGUMENT: other options are needed. UNAVAILABLE: it cannot be done here. The message
  // says what to do.
  std::function<absl::Status(const DrillOptions&, LocalClusterOptions&)> prepare;
  // Breaks something and mends it: Begin, InEffect and End, in this order. Called while every copy
  // is there and the load runs; the next round begins when every copy is there again.
  std::function<absl::Status(RoundStage&)> run;
};

RoundKind PowerCutRounds();
RoundKind MembershipRounds();
RoundKind FlipBitRounds();

// All kinds.
std::vector<RoundKind> RoundKinds();

}  // namespace forebay
