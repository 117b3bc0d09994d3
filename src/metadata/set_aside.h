// An operator's decisions that sinks and tails pass over blocks that no reader can decode.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "metadata/metadata_store.h"
#include "records/records.h"

namespace forebay {

// Whether exactly this block has been set aside, as the metadata store has it now.
void IsSetAside(MetadataStore& metadata, const PartitionId& partition, const SetAsideBlock& block,
                absl::AnyInvocable<void(absl::StatusOr<bool>)> done);

// Sets a block aside; the same again is OK. RESOURCE_EXHAUSTED: the partition has too many.
// UNAVAILABLE or DEADLINE_EXCEEDED: it may yet be done, repeat it. The store must outlive the
// callback.
void WriteSetAside(MetadataStore& metadata, const PartitionId& partition,
                   const SetAsideBlock& block, absl::AnyInvocable<void(absl::Status)> done);

}  // namespace forebay
