// ChainStore: reads and swaps partitions' chains in the metadata store until the outcome is known.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "metadata/metadata_store.h"
#include "records/records.h"
#include "replication/node_loop.h"

namespace forebay {

// A chain as the metadata store held it at a version; version 0: there is none yet.
struct VersionedChain {
  uint64_t version = 0;
  Chain chain;
};

// How a swap of a chain ended. `now` is what the metadata store holds.
struct ChainSwap {
  bool applied = false;  // the proposed last segment is (or was) in the chain by our doing
  VersionedChain now;
};

// Confined to the loop; callbacks run there.
class ChainStore {
 public:
  using SwapDone = absl::AnyInvocable<void(ChainSwap)>;

  // Both must outlive this object.
  ChainStore(NodeLoop& loop, MetadataStore& metadata) : loop_(loop), metadata_(metadata) {}

  // Swaps until the outcome is known: a time-out is settled by another swap (roll-settles).
  void Swap(const PartitionId& partition, uint64_t version, const Chain& chain, SwapDone done);
  // The same, but ends with an empty chain when the first try says that the store takes no writes,
  // so that the swap is surely not applied.
  void SwapOrNot(const PartitionId& partition, uint64_t version, const Chain& chain, SwapDone done);
  // Whether the metadata store takes writes at the moment: true only on proof. `self` is this
  // node's record, which stays as it is.
  void AskForWrites(const NodeRecord& self, absl::AnyInvocable<void(bool)> done);
  // Reads until it is read.
  void Read(const PartitionId& partition, absl::AnyInvocable<void(VersionedChain)> done);
  // Swaps in the first chain of a partition. At most 500 are outstanding: a metadata store would
  // not get to more in time, and what is not answered is sent again.
  bool MayCreate() const;
  void Create(const PartitionId& partition, const Chain& chain, SwapDone done);

 private:
  struct Try {
    PartitionId partition;
    uint64_t version = 0;
    Chain chain;
    bool may_end = false;  // no try so far may still be applied, and the caller can do without
  };
  void Begin(Try swap, SwapDone done);
  void OnTried(Try swap, const SwapResult& result, SwapDone done);

  NodeLoop& loop_;
  MetadataStore& metadata_;
  std::vector<absl::AnyInvocable<void(bool)>> ask_for_writes_;  // one question for all of them
  size_t creating_ = 0;                                         // first chains
};

}  // namespace forebay
