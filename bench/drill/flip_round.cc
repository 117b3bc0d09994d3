// Rounds in which one bit flips in a file of one node's data directory, while it runs or while it
// is stopped. All flips are on the same minority of nodes: those of one zone.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "drill/round_kind.h"

namespace forebay {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kStatusLimit = absl::Seconds(1);
constexpr absl::Duration kLookEvery = absl::Milliseconds(100);
// Far more than it takes, as nothing is measured by it.
constexpr absl::Duration kStepLimit = absl::Seconds(60);

struct FileKind {
  const char* name;
  const char* folder;  // of the data directory
  const char* begins;  // its name
  const char* ends;
};
constexpr FileKind kKinds[] = {
    {"log", "db", "0", ".log"},         {"table", "db", "0", ".sst"},
    {"MANIFEST", "db", "MANIFEST", ""}, {"CURRENT", "db", "CURRENT", ""},
    {"IDENTITY", "db", "IDENTITY", ""}, {"OPTIONS", "db", "OPTIONS", ""},
    {"SYNCED", ".", "SYNCED", ""},
};

// The file of the kind that was written last, or any table.
absl::StatusOr<fs::path> Choose(const fs::path& directory, const FileKind& kind, Random& random) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory / kind.folder, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code gone;
    if (absl::StartsWith(name, kind.begins) && absl::EndsWith(name, kind.ends) &&
        fs::file_size(entry.path(), gone) > 0 && !gone) {
      files.push_back(entry.path());
    }
  }
  if (files.empty())
    return absl::NotFoundError(absl::StrCat("no ", kind.name, " in ", directory.string()));
  std::sort(files.begin(), files.end());
  return std::string(kind.name) == "table" ? files[random.Below(files.size())] : files.back();
}

// Where a bit was flipped, and what the byte is since then.
struct Place {
  fs::path path;
  std::streamoff at = 0;
  int byte = 0;
};

// End of file: it is gone.
int ByteAt(const fs::path& path, std::streamoff at) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(at);
  return file.get();
}

// Nothing: it is gone.
std::optional<Place> FlipBit(const fs::path& path, Random& random) {
  std::error_code gone;
  const uint64_t size = fs::file_size(path, gone);
  if (gone || size == 0) return std::nullopt;
  Place place{path, static_cast<std::streamoff>(random.Below(size))};
  place.byte = ByteAt(path, place.at);
  if (place.byte == std::ifstream::traits_type::eof()) return std::nullopt;
  place.byte ^= 1 << random.Below(8);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(place.at);
  file.put(static_cast<char>(place.byte));
  file.flush();
  if (!file.good()) return std::nullopt;
  return place;
}

class FlipRound {
 public:
  explicit FlipRound(RoundStage& stage)
      : stage_(stage),
        cluster_(stage.cluster()),
        kind_(kKinds[static_cast<size_t>(stage.number() - 1) % std::size(kKinds)]),
        stopped_(stage.number() % 2 == 0) {}

  absl::Status Run() {
    const std::vector<std::string> names = cluster_.node_names();
    const std::vector<std::string> directories = cluster_.data_directories();
    node_ = names.back();
    directory_ = directories.back();
    cluster_.MayEnd(node_);
    FOREBAY_RETURN_IF_ERROR(WaitForPass(1));  // it says what it has seen so far
    before_ = *Look();
    stage_.Begin(absl::StrCat(kind_.name, " of ", node_, stopped_ ? ", stopped" : ", running"));
    cluster_.MayEnd(node_);
    if (stopped_) FOREBAY_RETURN_IF_ERROR(Stop());
    auto file = Choose(directory_, kind_, stage_.random());
    if (!file.ok()) return file.status();
    place_ = FlipBit(*file, stage_.random());
    stage_.InEffect();
    flipped_at_ = stage_.bed().clock().Now();
    if (stopped_) FOREBAY_RETURN_IF_ERROR(cluster_.Start(node_));
    cluster_.MayEnd(node_);  // to be started again, also when damage is found after this round
    FOREBAY_RETURN_IF_ERROR(stage_.WaitUntil([this] { return IsWell(); }, kStepLimit,
                                             absl::StrCat("the repair of ", node_)));
    stage_.Add(Told());
    stage_.Tell({.kind = kind_.name, .found = FoundBy() != nullptr, .harmless = WhyHarmless()});
    stage_.End();
    return absl::OkStatus();
  }

 private:
  absl::Status Stop() {
    cluster_.AskToStop(node_);
    return stage_.WaitUntil([this] { return cluster_.Ended(node_); }, kStepLimit,
                            absl::StrCat("the end of ", node_));
  }

  // What the node says of itself; nothing while it does not.
  std::optional<NodeStatus> Look() {
    const auto status = cluster_.remote().Status(kStatusLimit);
    if (!status.ok()) return std::nullopt;
    for (const NodeStatus& node : status->nodes) {
      if (node.record.id.value() == node_ && node.alive && node.scrub.has_value()) return node;
    }
    return std::nullopt;
  }

  absl::Status WaitForPass(uint64_t passes) {
    return stage_.WaitUntil(
        [&] {
          if (cluster_.Ended(node_)) {
            cluster_.Start(node_).IgnoreError();
            cluster_.MayEnd(node_);
          }
          const auto node = Look();
          return node.has_value() && node->scrub->passes >= passes;
        },
        kStepLimit, absl::StrCat("a scrub of ", node_));
  }

  // It has looked at everything since the flip, and nothing is damaged any more. As a service
  // manager would, starts it again when it has ended.
  bool IsWell() {
    const absl::Time now = stage_.bed().clock().Now();
    if (now < next_look_) return false;
    next_look_ = now + kLookEvery;
    if (cluster_.Ended(node_)) {
      restarts_++;
      cluster_.Start(node_).IgnoreError();
      cluster_.MayEnd(node_);
      return false;
    }
    const auto node = Look();
    if (!node.has_value()) return false;
    const ScrubStats& scrub = *node->scrub;
    const bool same_life = !stopped_ && restarts_ == 0;
    const uint64_t found_before = same_life ? before_.scrub->found : 0;
    if (scrub.found > found_before && !found_at_) found_at_ = now;
    if (restarts_ > 0 && !found_at_) found_at_ = now;
    incarnation_changed_ |= node->record.incarnation != before_.record.incarnation;
    const uint64_t passes = (same_life ? before_.scrub->passes : 0) + 2;
    return scrub.passes >= passes && scrub.damaged_now == 0 && scrub.repaired >= scrub.found;
  }

  // Null: nobody.
  const char* FoundBy() const {
    if (stopped_ && incarnation_changed_ && restarts_ == 0) return "start";
    return found_at_.has_value() ? "scrub or read" : nullptr;
  }

  // Of a bit that nobody has found, though everything was looked at since. Empty: it may matter.
  std::string WhyHarmless() const {
    if (FoundBy() != nullptr) return "";
    if (!place_.has_value()) return "its file was deleted before it could be flipped";
    if (!fs::exists(place_->path)) return "its file was deleted, as it was needed no more";
    if (ByteAt(place_->path, place_->at) != place_->byte) return "it was written over unread";
    // Each start writes a new one.
    if (stopped_ && std::string(kind_.name) == "OPTIONS") return "it is in a file that is not read";
    return "";
  }

  std::string Told() const {
    const std::string harmless = WhyHarmless();
    const std::string what = FoundBy() != nullptr ? absl::StrCat("found by ", FoundBy())
                             : harmless.empty()   ? std::string("NOT FOUND")
                                                  : absl::StrCat("harmless: ", harmless);
    return absl::StrFormat(": %s, well after %.1f s%s%s", what,
                           absl::ToDoubleSeconds(stage_.bed().clock().Now() - flipped_at_),
                           restarts_ > 0 ? ", made anew" : "",
                           incarnation_changed_ ? ", new incarnation" : "");
  }

  RoundStage& stage_;
  LocalCluster& cluster_;
  const FileKind& kind_;
  const bool stopped_;
  std::string node_, directory_;
  NodeStatus before_;
  std::optional<Place> place_;
  absl::Time flipped_at_, next_look_ = absl::InfinitePast();
  std::optional<absl::Time> found_at_;
  int restarts_ = 0;
  bool incarnation_changed_ = false;
};

absl::Status Prepare(const DrillOptions& options, LocalClusterOptions& cluster) {
  if (options.zones < 3) {
    return absl::InvalidArgumentError("bits flip on a minority of the nodes: set --zones 3");
  }
  cluster.scrub_often = true;
  return absl::OkStatus();
}

}  // namespace

RoundKind FlipBitRounds() {
  return {.name = "flip-bits",
          .meaning =
              "one bit flips in one file of a node, each kind of file in turn, while the "
              "node runs or is stopped",
          .prepare = Prepare,
          .run = [](RoundStage& stage) { return FlipRound(stage).Run(); }};
}

}  // namespace forebay
