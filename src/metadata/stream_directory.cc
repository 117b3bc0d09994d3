#include "metadata/stream_directory.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status.h"
#include "forebay/errors.h"
#include "records/records.h"
#include "records/unknown_name.h"
#include "runtime/log.h"
#include "runtime/mutex.h"

namespace forebay {
namespace {

constexpr absl::Duration kAskAgainAfter = absl::Milliseconds(200);

absl::Status CannotTell(const StreamId& stream, absl::string_view why) {
  return WithRetryAfter(absl::UnavailableError(absl::StrCat(
                            "this node does not know of stream '", Shown(stream.value()),
                            "', and cannot tell whether it exists: ", why)),
                        kAskAgainAfter);
}

}  // namespace

struct StreamDirectory::Known {
  Mutex mutex;
  std::map<StreamId, StreamOptions> streams ABSL_GUARDED_BY(mutex);
  int look_ups ABSL_GUARDED_BY(mutex) = 0;  // under way

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

void StreamDirectory::LookUp(const StreamId& stream, Found found) {
  if (std::optional<StreamOptions> known = Find(stream); known.has_value()) {
    return found(*std::move(known));
  }
  // No stream can have that name, so none has to be looked for.
  StreamOptions named;
  named.name = stream;
  if (!named.Validate().ok()) return found(NoSuchStream(stream));
  bool may_ask = false;
  {
    MutexLock lock(known_->mutex);
    may_ask = known_->look_ups < kLookUpsMax;
    if (may_ask) known_->look_ups++;
  }
  if (!may_ask) return found(CannotTell(stream, "too many others are being looked up"));
  metadata_.Read(StreamKey(stream),
                 [known = known_, stream, found = std::move(found)](auto record) mutable {
                   {
                     MutexLock lock(known->mutex);
                     known->look_ups--;
                   }
                   if (!record.ok()) return found(CannotTell(stream, record.status().message()));
                   if (!record->has_value()) return found(NoSuchStream(stream));
                   known->Update(**record);
                   found(DecodeStream((*record)->value));
                 });
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
          done(WithContext(StatusToTell(swapped), "create ", key));
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
