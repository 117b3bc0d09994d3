#include "metadata/set_maintenance.h"

#include <optional>
#include <string>
#include <utility>

#include "base/status.h"

namespace forebay {

void SetMaintenance(MetadataStore& metadata, MaintenanceRecord record,
                    absl::AnyInvocable<void(absl::Status)> done) {
  std::string key = MaintenanceKey(record);
  metadata.Read(key, [&metadata, key, record = std::move(record), done = std::move(done)](
                         absl::StatusOr<std::optional<MetadataRecord>> now) mutable {
    if (!now.ok()) return done(WithContext(now.status(), "read ", key));
    std::string value = Encode(record);
    if (now->has_value() && (*now)->value == value) return done(absl::OkStatus());
    const uint64_t version = now->has_value() ? (*now)->version : 0;
    metadata.CompareAndSwap(key, version, std::move(value),
                            [&metadata, key, record = std::move(record),
                             done = std::move(done)](const SwapResult& swapped) mutable {
                              // Somebody else was faster: after that one, then.
                              if (absl::IsAborted(swapped.status())) {
                                return SetMaintenance(metadata, std::move(record), std::move(done));
                              }
                              done(WithContext(StatusToTell(swapped), "write ", key));
                            });
  });
}

}  // namespace forebay
