// Which faults hit a cluster when. Pure: a plan follows from its scope and its seed alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "forebay/ids.h"

namespace forebay {

enum class ChaosKind {
  kKill,         // SIGKILL of a node, which is started again
  kFreeze,       // SIGSTOP of a node
  kCut,          // nothing passes between a zone and the others
  kCutOut,       // nothing passes from a zone to the others
  kCutIn,        // nothing passes from the others to a zone
  kFlap,         // cut and healed again and again
  kPowerCut,     // a node is gone with all that it had not synced
  kPowerCutAll,  // all nodes at once
  kDiskFull,     // of a node
  kClockJump,    // the wall clock of a node leaps, and leaps again when it is over
  kRestartAll,   // one node after the other, in order, as an upgrade does
  kKillEtcd,     // SIGKILL of a member, which is started again
  kBreakSink,    // PostgreSQL: crashed and started again; SQLite: locked
};
const char* NameOf(ChaosKind kind);

struct ChaosFault {
  ChaosKind kind = ChaosKind::kKill;
  std::string target = {};  // "a1" (a node), "a" (a zone), "etcd-a", "sink" or "all"
  ZoneId zone = {};         // that the target is in; none for "sink" and "all"
  absl::Duration start = absl::ZeroDuration();
  absl::Duration hold = absl::ZeroDuration();        // kRestartAll: about what it takes
  absl::Duration flap_every = absl::ZeroDuration();  // kFlap: on for so long, off for so long
  // kClockJump: how far the clock is off from its start on, and from its end on, also after the
  // node was started anew.
  absl::Duration off_then = absl::ZeroDuration(), off_after = absl::ZeroDuration();

  absl::Duration end() const { return start + hold; }
};

// "cut a for 4.2 s"
std::string Describe(const ChaosFault& fault);

// What there is to break.
struct ChaosScope {
  int zones = 3;
  int nodes_per_zone = 1;
  bool etcd = false;          // its members can be killed
  bool disks = false;         // nodes have disks that can lose power and fill up
  bool clocks = false;        // of nodes can leap
  bool certificates = false;  // which are valid from the drill's start on
  bool sink = false;          // the sink can be broken
  absl::Duration length = absl::ZeroDuration();
};

// In order of start; the last has ended before the length is over. Faults that overlap may
// (MayOverlap).
std::vector<ChaosFault> PlanChaos(const ChaosScope& scope, uint64_t seed);

// What the promise covers: at no time is more than one zone broken, except that all may lose power
// at once, and no process has two faults. The sink is nobody's zone.
bool MayOverlap(const ChaosFault& one, const ChaosFault& other);

}  // namespace forebay
