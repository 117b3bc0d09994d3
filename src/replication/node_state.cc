#include "replication/node_state.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/log.h"

namespace forebay {
namespace {

// One record for all that is found within a second.
constexpr absl::Duration kTellDamageEvery = absl::Seconds(1);

NodeRecord OwnRecord(NodeRecord self, const WalStore& store) {
  self.incarnation = store.marker().incarnation;
  self.level = kReadsSnapshotFormat2;
  return self;
}

}  // namespace

std::shared_ptr<NodeState> NodeState::Make(const ReplicatorParts& parts, Random random,
                                           ReplicatorOptions options) {
  std::shared_ptr<NodeState> state(new NodeState(parts, random, std::move(options)));
  state->loop_.SetOwner(state);
  return state;
}

NodeState::NodeState(const ReplicatorParts& parts, Random random, ReplicatorOptions options)
    : options_(std::move(options)),
      random_(random),
      store_(parts.store),
      metadata_(parts.metadata),
      loop_(parts.clock, parts.loop, parts.reads),
      cluster_(loop_, parts.transport, parts.liveness, options_.liveness,
               OwnRecord(options_.self, store_)),
      disk_(options_.disk, options_.data_directory),
      batch_(loop_, options_.self.id, store_, parts.transport, disk_),
      chains_(loop_, metadata_),
      replicas_(loop_, batch_, store_, options_.self.id, Random(random_.Next())),
      scrub_(loop_, batch_, store_, replicas_, options_.disk) {}

bool NodeState::UpdateOwnRecord() {
  const absl::Duration oldest_wait = store_.stats().oldest_wait;
  disk_.OnTick(Now(), oldest_wait);
  replicas_.core().SetFull(disk_.on_reserve());
  const bool tells =
      self().damage != replicas_.damage_mark() && Now() - damage_told_ >= kTellDamageEvery;
  if (tells) {
    damage_told_ = Now();
    cluster_.ChangeSelf().damage = replicas_.damage_mark();
  }
  if (self().disk_full == disk_.full() && self().disk_slow == disk_.slow()) return tells;
  NoteDisk(oldest_wait);
  return true;
}

void NodeState::NoteDisk(absl::Duration oldest_wait) {
  NodeRecord& self = cluster_.ChangeSelf();
  if (self.disk_full != disk_.full()) {
    Log(disk_.full() ? LogLevel::kWarning : LogLevel::kInfo,
        absl::StrCat(disk_.Level(), disk_.full()
                                        ? ": taking no more appends, handing partitions over"
                                        : ": taking appends again"));
  }
  if (self.disk_slow != disk_.slow()) {
    Log(disk_.slow() ? LogLevel::kWarning : LogLevel::kInfo,
        absl::StrCat("the disk of data_directory ", options_.data_directory,
                     disk_.slow() ? " is slow, a write has waited for " : " is quick again",
                     disk_.slow() ? absl::FormatDuration(oldest_wait) : "",
                     disk_.slow() ? ": handing partitions over" : ""));
  }
  self.disk_full = disk_.full();
  self.disk_slow = disk_.slow();
}

}  // namespace forebay
