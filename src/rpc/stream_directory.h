// StreamDirectory: the streams there are, as last heard from the metadata store.
#pragma once

#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "forebay/options.h"
#include "metadata/metadata_store.h"

namespace forebay {

// Thread-safe. Answers from memory, so also while the metadata store is unreachable.
class StreamDirectory {
 public:
  // The store must outlive every call of Create; its watch may outlive this object.
  explicit StreamDirectory(MetadataStore& metadata);

  std::optional<StreamOptions> Find(const StreamId& stream) const;
  // INVALID_ARGUMENT names the setting. OK also when it exists with the same settings;
  // ALREADY_EXISTS with others.
  void Create(const StreamOptions& options, absl::AnyInvocable<void(absl::Status)> done);

 private:
  struct Known;
  MetadataStore& metadata_;
  std::shared_ptr<Known> known_;  // shared with the watch
};

}  // namespace forebay
