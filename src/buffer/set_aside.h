// Blocks that no reader can decode, and an operator's decision to pass over them.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "metadata/metadata_store.h"
#include "records/records.h"
#include "rpc/rpc_backend.h"
#include "runtime/executor.h"

namespace forebay {

// Whether exactly this block has been set aside, as the metadata store has it now.
void IsSetAside(MetadataStore& metadata, const PartitionId& partition, const SetAsideBlock& block,
                absl::AnyInvocable<void(absl::StatusOr<bool>)> done);

// Sets blocks aside, on the owner of their partition. Thread-safe; all parts must outlive every
// call.
class BlockSetter {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<SetAsideBlock>)>;

  // Decodes on `worker`. Of `backend` it uses read, stream, create_stream and produce.
  BlockSetter(MetadataStore& metadata, Executor& worker, RpcBackend backend);

  // Reads the block that holds `offset`, keeps its bytes as letters in the dead-letter stream, and
  // then, in one swap, makes it one that every sink and tail passes over. A repeat is OK.
  // FAILED_PRECONDITION: it can be decoded, or this node is not the owner; RESOURCE_EXHAUSTED: the
  // partition has too many. UNAVAILABLE, DEADLINE_EXCEEDED: it may yet be done; repeat it.
  void SetAside(const PartitionId& partition, Offset offset, Done done);

 private:
  struct Work;
  void OnBlocks(std::shared_ptr<Work> work, absl::StatusOr<std::vector<StoredBlock>> blocks);
  void CreateLetterStream(std::shared_ptr<Work> work);
  void Keep(std::shared_ptr<Work> work);
  void Write(std::shared_ptr<Work> work);

  MetadataStore& metadata_;
  Executor& worker_;
  const RpcBackend backend_;
};

}  // namespace forebay
