#include "rpc/stream_directory.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "records/records.h"
#include "runtime/log.h"
#include "runtime/mutex.h"

namespace forebay {

struct StreamDirectory::Known {
  Mutex mutex;
  std::map<StreamId, StreamOptions> streams ABSL_GUARDED_BY(mutex);

  void Update(const MetadataRecord& record) {
    const StreamId stream(record.key.substr(sizeof(kStreamPrefix) - 1));
    if (record.version == 0) {
      MutexLock lock(mutex);
      streams.erase(stream);
      return;
    }
    absl::StatusOr<StreamOptions> options = DecodeStream(record.value);
    if (!options.ok()) {
      Log(LogLevel::kError, absl::StrCat("ignored the metadata record ", record.key, ": ",
                                         options.status().ToString()));
      return;
    }
    MutexLock lock(mutex);
    streams.insert_or_assign(stream, *std::move(options));
  }
};

StreamDirectory::StreamDirectory(MetadataStore& metadata)
    : metadata_(metadata), known_(std::make_shared<Known>()) {
  metadata_.Watch(kStreamPrefix, [known = known_](std::vector<MetadataRecord> records) {
    for (const MetadataRecord& record : records) known->Update(record);
  });
}

std::optional<StreamOptions> StreamDirectory::Find(const StreamId& stream) const {
  MutexLock lock(known_->mutex);
  const auto found = known_->streams.find(stream);
  if (found == known_->streams.end()) return std::nullopt;
  return found->second;
}

void StreamDirectory::Create(const StreamOptions& options,
                             absl::AnyInvocable<void(absl::Status)> done) {
  if (absl::Status status = options.Validate(); !status.ok()) {
    done(std::move(status));
    return;
  }
  const std::string key = StreamKey(options.name);
  const std::string value = Encode(options);
  // Swap first, then read: that settles a create whose answer was lost.
  metadata_.CompareAndSwap(
      key, 0, value,
      [known = known_, &metadata = metadata_, key, value,
       done = std::move(done)](SwapResult swapped) mutable {
        if (swapped.ok()) known->Update({key, value, *swapped});
        if (swapped.ok() || swapped.status().code() != absl::StatusCode::kAborted) {
          done(WithContext(swapped.status(), "create ", key));
          return;
        }
        metadata.Read(key, [known, key, value, done = std::move(done)](auto record) mutable {
          if (!record.ok()) return done(WithContext(record.status(), "read ", key));
          if (!record->has_value()) {
            return done(absl::UnavailableError(
                absl::StrCat(key, " was deleted while it was being created: try again")));
          }
          known->Update(**record);
          if ((*record)->value == value) return done(absl::OkStatus());
          done(absl::AlreadyExistsError(
              absl::StrCat(key, " exists with other settings, which cannot be changed")));
        });
      });
}

}  // namespace forebay
