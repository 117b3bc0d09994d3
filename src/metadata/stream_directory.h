// StreamDirectory: the streams there are, as last heard from the metadata store.
#pragma once

#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "forebay/options.h"
#include "metadata/metadata_store.h"

namespace forebay {

// Thread-safe. Answers what is known from memory, so also while the metadata store is unreachable.
class StreamDirectory {
 public:
  using Found = absl::AnyInvocable<void(absl::StatusOr<StreamOptions>)>;
  // So many streams that are not known are looked up at once; for more it is UNAVAILABLE.
  static constexpr int kLookUpsMax = 64;

  // The store must outlive every call of Create and LookUp; its watch may outlive this object.
  explicit StreamDirectory(MetadataStore& metadata);

  // As last heard: nothing may only mean "not heard yet".
  std::optional<StreamOptions> Find(const StreamId& stream) const;
  // Inside the call if the stream is known. Otherwise asks the metadata store: NOT_FOUND when that
  // says so, UNAVAILABLE with a hint when to ask again while it says nothing.
  void LookUp(const StreamId& stream, Found found);
  // INVALID_ARGUMENT names the setting. OK also when it exists with the same settings;
  // ALREADY_EXISTS with others.
  void Create(const StreamOptions& options, absl::AnyInvocable<void(absl::Status)> done);

 private:
  struct Known;
  MetadataStore& metadata_;
  std::shared_ptr<Known> known_;  // shared with the watch
};

}  // namespace forebay
