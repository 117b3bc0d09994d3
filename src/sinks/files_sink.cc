// NDJSON files that form a chain by their names: each is named by its first offset and says in its
// first line where the next one starts. Whoever creates a name first wins, so two owners can never
// both deliver an event; ".forebay" only makes the loser notice early.
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "block/event_json.h"
#include "forebay/sink.h"
#include "runtime/mutex.h"
#include "sinks/folder.h"
#include "sinks/row.h"

namespace forebay {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kMarker[] = ".forebay";
constexpr char kSuffix[] = ".ndjson";
constexpr size_t kHeadBytesMax = 8192;  // names are at most 64 bytes, escaped 384

// Streams become folder names.
std::string Escaped(const std::string& name) {
  std::string out;
  for (size_t i = 0; i < name.size(); i++) {
    const char c = name[i];
    const bool plain = absl::ascii_isalnum(c) || c == '-' || c == '_' || (c == '.' && i > 0);
    plain ? out.push_back(c) : absl::StrAppend(&out, absl::StrFormat("%%%02X", c & 0xFF));
  }
  return out;
}

std::string FileName(Offset first) { return absl::StrFormat("%020d%s", first.value(), kSuffix); }

bool IsFileName(const std::string& name) {
  return name.size() == 20 + sizeof(kSuffix) - 1 && absl::EndsWith(name, kSuffix) &&
         std::all_of(name.begin(), name.begin() + 20,
                     [](char c) { return absl::ascii_isdigit(c); });
}

// What the folder says about itself, besides the files.
struct Marker {
  Epoch epoch;  // the highest that has opened it
  Offset next;  // everything below has been delivered, also if its files were removed since
  friend bool operator==(const Marker&, const Marker&) = default;
};

absl::StatusOr<Marker> ReadMarker(const Folder& folder) {
  auto content = folder.Read(kMarker, kHeadBytesMax);
  if (!content.ok()) return content.status();
  if (!content->has_value()) return Marker();
  const Json json = Json::parse(**content, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("epoch") || !json["epoch"].is_number_unsigned() ||
      !json.contains("next") || !json["next"].is_number_unsigned()) {
    return absl::DataLossError(absl::StrCat(folder.path(), "/", kMarker, " is damaged"));
  }
  return Marker{Epoch(json["epoch"].get<uint64_t>()), Offset(json["next"].get<uint64_t>())};
}

absl::Status WriteMarker(const Folder& folder, const Marker& marker) {
  Json json;
  json["epoch"] = marker.epoch.value();
  json["next"] = marker.next.value();
  auto temporary = folder.WriteTemporary(json.dump() + "\n");
  if (!temporary.ok()) return temporary.status();
  return folder.Replace(*temporary, kMarker);
}

absl::Status CheckEpoch(const Marker& marker, Epoch epoch, const PartitionId& partition) {
  if (marker.epoch <= epoch) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("fenced: epoch ", marker.epoch.value(),
                                                    " has opened ", partition.ToString(),
                                                    ", this is epoch ", epoch.value()));
}

std::string Head(const SinkBatch& batch, size_t count) {
  Json head;
  head["sink"] = batch.sink.value();
  head["stream"] = batch.partition.stream.value();
  head["partition"] = batch.partition.index;
  head["epoch"] = batch.epoch.value();
  head["first"] = batch.first.value();
  head["next"] = batch.last.value() + 1;
  head["count"] = count;
  return absl::StrCat("{\"forebay\":", head.dump(-1, ' ', false, Json::error_handler_t::replace),
                      "}\n");
}

// A skipped batch becomes a file without events, because the chain needs its link.
std::string Content(const SinkBatch& batch, bool skip) {
  std::string out = Head(batch, skip ? 0 : batch.events.size());
  for (size_t i = 0; i < batch.events.size() && !skip; i++) {
    absl::StrAppend(&out, "{\"offset\":", batch.first.value() + i, ",");
    std::string event;
    AppendEventJson(batch.events[i], event);
    out.append(event, 1);  // without its opening brace
    out += '\n';
  }
  return out;
}

absl::StatusOr<Offset> ReadNext(const Folder& folder, const std::string& name) {
  auto content = folder.Read(name, kHeadBytesMax);
  if (!content.ok()) return content.status();
  if (!content->has_value()) {
    return absl::UnavailableError(absl::StrCat(folder.path(), "/", name, " has just been removed"));
  }
  const std::string line = (*content)->substr(0, (*content)->find('\n'));
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("forebay") && json["forebay"].contains("next") &&
      json["forebay"]["next"].is_number_unsigned()) {
    return Offset(json["forebay"]["next"].get<uint64_t>());
  }
  return absl::DataLossError(
      absl::StrCat(folder.path(), "/", name,
                   " is damaged: its first line does not say where it ends. If it is "
                   "lost, write its first line again, with the next offset"));
}

class FilesSink final : public Sink {
 public:
  explicit FilesSink(FilesSinkOptions options) : options_(std::move(options)) {}

  absl::StatusOr<SinkProgress> Open(const PartitionId& partition, Epoch epoch) override {
    const Folder folder = FolderOf(partition);
    FOREBAY_RETURN_IF_ERROR(folder.Make());
    auto marker = ReadMarker(folder);
    if (!marker.ok()) return marker.status();
    FOREBAY_RETURN_IF_ERROR(CheckEpoch(*marker, epoch, partition));
    // Fence first, then read.
    const Marker fenced{epoch, marker->next};
    if (*marker != fenced) FOREBAY_RETURN_IF_ERROR(WriteMarker(folder, fenced));
    auto next = FindNext(folder);
    if (!next.ok()) return next.status();
    const Marker found{epoch, std::max(*next, marker->next)};
    // A predecessor may have died between creating the last file and syncing the folder.
    FOREBAY_RETURN_IF_ERROR(folder.Sync());
    if (found != fenced) FOREBAY_RETURN_IF_ERROR(WriteMarker(folder, found));
    Remember(partition, found);
    return SinkProgress{found.next};
  }

  absl::Status Deliver(const SinkBatch& batch) override { return Take(batch, /*skip=*/false); }
  absl::Status Skip(const SinkBatch& batch) override { return Take(batch, /*skip=*/true); }
  bool HoldsProgress() const override { return true; }

 private:
  Folder FolderOf(const PartitionId& partition) const {
    return Folder(absl::StrCat(options_.directory, "/", Escaped(partition.stream.value()), "/",
                               partition.index));
  }

  void Remember(const PartitionId& partition, const Marker& marker) {
    MutexLock lock(mutex_);
    opened_[partition] = marker;
  }
  Marker Remembered(const PartitionId& partition) {
    MutexLock lock(mutex_);
    return opened_[partition];
  }

  // Where the last file ends; 0 when there is none. Removes what a crash left behind.
  static absl::StatusOr<Offset> FindNext(const Folder& folder) {
    auto names = folder.List();
    if (!names.ok()) return names.status();
    std::string last;
    for (const std::string& name : *names) {
      // An old owner may still be writing it. It will not find it any more, and open again.
      if (absl::StartsWith(name, ".tmp-")) FOREBAY_RETURN_IF_ERROR(folder.Remove(name));
      if (IsFileName(name)) last = std::max(last, name);
    }
    if (last.empty()) return Offset(0);
    return ReadNext(folder, last);
  }

  absl::Status Take(const SinkBatch& batch, bool skip) {
    FOREBAY_RETURN_IF_ERROR(CheckName(batch, options_.name));
    // Only a name that ends the chain may be created; what Open found is its end.
    Marker opened = Remembered(batch.partition);
    if (opened.epoch != batch.epoch || opened.next != batch.first) {
      return WhyNoRow(batch, opened.epoch, opened.next);
    }
    const Folder folder = FolderOf(batch.partition);
    auto marker = ReadMarker(folder);
    if (!marker.ok()) return marker.status();
    FOREBAY_RETURN_IF_ERROR(CheckEpoch(*marker, batch.epoch, batch.partition));
    if (marker->next > batch.first) return WhyNoRow(batch, marker->epoch, marker->next);
    for (size_t i = 0; i < batch.events.size() && !skip; i++) {
      FOREBAY_RETURN_IF_ERROR(CheckTexts(batch.events[i]));
    }
    auto temporary = folder.WriteTemporary(Content(batch, skip));
    if (!temporary.ok()) return temporary.status();
    absl::Status named = folder.GiveNewName(*temporary, FileName(batch.first));
    if (absl::IsAlreadyExists(named)) {
      FOREBAY_RETURN_IF_ERROR(folder.Remove(*temporary));
      return absl::OutOfRangeError(absl::StrCat("another owner was faster: ", named.message()));
    }
    FOREBAY_RETURN_IF_ERROR(named);
    opened.next = batch.last + 1;
    Remember(batch.partition, opened);
    return absl::OkStatus();
  }

  const FilesSinkOptions options_;
  Mutex mutex_;
  std::map<PartitionId, Marker> opened_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::shared_ptr<Sink>> OpenFilesSink(FilesSinkOptions options) {
  if (options.directory.empty()) {
    return absl::InvalidArgumentError("files sink: directory is empty");
  }
  absl::Status made = Folder(options.directory).Make();
  if (!made.ok()) return absl::InvalidArgumentError(absl::StrCat("files sink: ", made.message()));
  return std::make_shared<FilesSink>(std::move(options));
}

}  // namespace forebay
