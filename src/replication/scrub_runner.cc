#include "replication/scrub_runner.h"

#include <algorithm>
#include <utility>

namespace forebay {

ScrubRunner::ScrubRunner(NodeLoop& loop, LoopBatch& batch, WalStore& store, ReplicaHost& replicas,
                         const DiskOptions& options)
    : loop_(loop), batch_(batch), store_(store), replicas_(replicas), scrubber_(options) {}

void ScrubRunner::OnTick() {
  // A scrub ends a segment at the damage that it finds, and goes on there once it is restored.
  for (const auto& [key, damage] : replicas_.TakeRestored()) {
    if (damage.block.has_value()) scrubber_.LookAgain(key, *damage.block);
  }
  const absl::Time now = loop_.Now();
  if (scrubber_.NeedsSegments(now)) scrubber_.Begin(replicas_.core().AllSegments(), now);
  const auto step = scrubber_.Next(now);
  if (!step.has_value()) return;
  const auto extent = replicas_.core().DurableExtent(step->segment);
  loop_.PostRead([this, step = *step, extent] {
    Finding finding = Read(step, extent);
    loop_.Post([this, step, finding = std::move(finding)] { OnStep(step, finding); });
  });
}

ScrubRunner::Finding ScrubRunner::Read(const Scrubber::Step& step,
                                       std::optional<SegmentExtent> extent) {
  Finding finding;
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

void ScrubRunner::OnStep(const Scrubber::Step& step, const Finding& finding) {
  // What follows a damaged block is looked at when that is restored.
  if (finding.damage.has_value()) replicas_.OnDamage(step.segment, *finding.damage);
  replicas_.CountFiles(finding.files.damaged, finding.files.repaired);
  batch_.SetStoreFailed(finding.files.status);
  scrubber_.Done(step, finding.result, loop_.Now());
}

ScrubStats ScrubRunner::stats() const {
  ScrubStats stats{.bytes = scrubber_.bytes(),
                   .passes = scrubber_.passes(),
                   .found = replicas_.damage_found(),
                   .repaired = replicas_.damage_repaired()};
  for (const auto& [key, damage] : replicas_.core().damaged()) {
    const uint64_t count = damage.blocks.size() + (damage.snapshot ? 1 : 0);
    stats.damaged_now += count;
    if (damage.given_up) stats.given_up_now += count;
  }
  return stats;
}

}  // namespace forebay
