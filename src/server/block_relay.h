// BlockRelay: brings a block to its partition's owner on behalf of a client that only knows this
// node.
#pragma once

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "forebay/clock.h"
#include "producer/ingest_link.h"
#include "runtime/executor.h"

namespace forebay {

// Confined to the executor, which is the link's as well; all must outlive it.
class BlockRelay {
 public:
  using Done = absl::AnyInvocable<void(AppendResult)>;

  BlockRelay(Clock& clock, Executor& executor, IngestLink& link);

  // Tries over any number of owners, with the same block, until the outcome is known or `limit` has
  // passed. Runs `done` once.
  void Append(const PartitionId& partition, Block block, absl::Duration limit, Done done);

 private:
  struct Attempt;

  void FindOwner(const std::shared_ptr<Attempt>& attempt);
  void Send(const std::shared_ptr<Attempt>& attempt, const Route& route);
  void OnSilence(const std::shared_ptr<Attempt>& attempt, const Route& route);
  void OnResult(const std::shared_ptr<Attempt>& attempt, AppendResult result);
  void TryAgain(const std::shared_ptr<Attempt>& attempt, absl::Duration wait);

  Clock& clock_;
  Executor& executor_;
  IngestLink& link_;
};

}  // namespace forebay
