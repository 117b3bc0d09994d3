// Writes an operator's word about maintenance into the metadata store.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "metadata/metadata_store.h"
#include "records/records.h"

namespace forebay {

// The last one wins; the same again is OK. UNAVAILABLE or DEADLINE_EXCEEDED: it may yet be applied,
// repeat it. The store must outlive the callback.
void SetMaintenance(MetadataStore& metadata, MaintenanceRecord record,
                    absl::AnyInvocable<void(absl::Status)> done);

}  // namespace forebay
