// NodeState: finding damage in what the node stores, and telling of it. What mends it is in
// mender.h.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "replication/node_state.h"
#include "runtime/log.h"

namespace forebay {

void NodeState::OnDamage(const SegmentKey& key, const Damage& damage) {
  const bool first = !replica_.damaged().contains(key);
  if (!replica_.OnDamage(key, damage)) return;
  damage_found_++;
  damage_mark_ = random_.Next() | 1;
  if (!first) return;
  Log(LogLevel::kWarning,
      absl::StrCat(damage.block.has_value() ? absl::StrCat("offset ", damage.block->value())
                                            : std::string("the producers' snapshot"),
                   " of ", key.ToString(),
                   " is damaged on the disk of this node; it is restored from another replica. "
                   "Check the disk if this happens again"));
}

void NodeState::NoteRestored() {
  for (const auto& [key, damage] : replica_.TakeRestored()) {
    damage_repaired_++;
    if (damage.block.has_value()) scrubber_.LookAgain(key, *damage.block);
    Log(LogLevel::kInfo,
        absl::StrCat("restored ",
                     damage.block.has_value() ? absl::StrCat("offset ", damage.block->value())
                                              : std::string("the producers' snapshot"),
                     " of ", key.ToString(), " from another replica"));
  }
}

ScrubStats NodeState::scrub_stats() const {
  ScrubStats stats{.bytes = scrubber_.bytes(),
                   .passes = scrubber_.passes(),
                   .found = damage_found_,
                   .repaired = damage_repaired_};
  for (const auto& [key, damage] : replica_.damaged()) {
    const uint64_t count = damage.blocks.size() + (damage.snapshot ? 1 : 0);
    stats.damaged_now += count;
    if (damage.given_up) stats.given_up_now += count;
  }
  return stats;
}

void NodeState::Scrub() {
  const absl::Time now = Now();
  if (scrubber_.NeedsSegments(now)) scrubber_.Begin(replica_.AllSegments(), now);
  const auto step = scrubber_.Next(now);
  if (!step.has_value()) return;
  const auto extent = replica_.DurableExtent(step->segment);
  reads_.Post([weak = weak_from_this(), this, step = *step, extent] {
    const auto state = weak.lock();
    if (state == nullptr || state->stopped_) return;
    ScrubFinding finding = ReadStep(step, extent);
    Post([this, step, finding = std::move(finding)] { OnStep(step, finding); });
  });
}

// Blocking.
NodeState::ScrubFinding NodeState::ReadStep(const Scrubber::Step& step,
                                            std::optional<SegmentExtent> extent) {
  ScrubFinding finding;
  if (step.what == Scrubber::Step::What::kFiles) {
    finding.files = store_.CheckFiles(step.bytes);
    finding.result = {finding.files.bytes, std::nullopt, finding.files.pass_done};
    return finding;
  }
  if (!extent.has_value()) return finding;  // dropped meanwhile
  if (step.what == Scrubber::Step::What::kSnapshot) {
    const auto snapshot = store_.ReadSnapshot(step.segment);
    if (absl::IsDataLoss(snapshot.status())) finding.damage = Damage{};
    if (snapshot.ok()) finding.result.bytes = snapshot->size();
    if (extent->start < extent->tail) finding.result.next = extent->start;
    return finding;
  }
  const Offset from = std::max(step.from, extent->start);
  if (from >= extent->tail) return finding;
  const auto blocks = store_.Read(step.segment, from, step.bytes);
  if (absl::IsDataLoss(blocks.status())) finding.damage = Damage{from};
  if (!blocks.ok()) return finding;
  for (const StoredBlock& block : *blocks) finding.result.bytes += block.block.bytes().size();
  if (blocks->back().end() < extent->tail) finding.result.next = blocks->back().end();
  return finding;
}

void NodeState::OnStep(const Scrubber::Step& step, const ScrubFinding& finding) {
  // What follows a damaged block is looked at when that is restored.
  if (finding.damage.has_value()) OnDamage(step.segment, *finding.damage);
  damage_found_ += finding.files.damaged;
  damage_repaired_ += finding.files.repaired;
  if (!finding.files.status.ok() && store_status_.ok()) store_status_ = finding.files.status;
  scrubber_.Done(step, finding.result, Now());
}

}  // namespace forebay
