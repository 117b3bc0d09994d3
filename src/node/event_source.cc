#include "node/event_source.h"

#include <fstream>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "block/block.h"
#include "node/event_lines.h"
#include "runtime/random.h"

namespace forebay {
namespace {

constexpr size_t kMadeUpEvents = 10'000;

std::string MadeUpPayload(Random& random, size_t bytes) {
  static constexpr const char* kPages[] = {"/",       "/pricing",  "/docs/start",
                                           "/search", "/checkout", "/blog/how-we-fail-over"};
  std::string payload = absl::StrFormat(R"({"path":"%s","status":%d,"bytes":%d,"agent":")",
                                        kPages[random.Below(std::size(kPages))],
                                        random.Chance(0.95) ? 200 : 404, random.Below(100'000));
  // Words that compress about as well as those of real user agents do.
  static constexpr const char* kWords[] = {"Mozilla/5.0 ",  "(Macintosh; ", "Intel ", "like Gecko ",
                                           "Chrome/120.0 ", "Safari/537 ",  "Linux ", "rv:"};
  while (payload.size() + 2 < bytes) {
    absl::StrAppend(&payload, kWords[random.Below(std::size(kWords))], random.Below(1000), " ");
  }
  if (payload.size() + 2 > bytes && bytes > 100) payload.resize(bytes - 2);
  return payload + "\"}";
}

}  // namespace

absl::StatusOr<EventSource> EventSource::FromFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  EventSource source;
  EventLines lines(file);
  absl::StatusOr<Event> event;
  std::unordered_set<std::string> ids;
  while (lines.Next(event)) {
    if (!event.ok()) return WithContext(event.status(), path);
    if (event->id.empty() || !ids.insert(event->id).second) {
      event->id = absl::StrCat(event->id, "line-", lines.line());
    }
    source.events_.push_back(*std::move(event));
  }
  if (source.events_.empty()) return absl::InvalidArgumentError(path + " holds no event");
  return source;
}

EventSource EventSource::MadeUp(size_t payload_bytes) {
  EventSource source;
  Random random(1);
  const absl::Time start = absl::FromUnixSeconds(1'767'225'600);  // 2026-01-01
  for (size_t i = 0; i < kMadeUpEvents; ++i) {
    // The lesser of two draws: low numbers are visitors that come often.
    const uint64_t visitor = std::min(random.Below(2000), random.Below(2000));
    source.events_.push_back({.id = random.HexId(),
                              .key = absl::StrCat("visitor-", visitor),
                              .time = start + absl::Milliseconds(10 * i),
                              .type = "page_view",
                              .payload = MadeUpPayload(random, payload_bytes),
                              .attributes = {}});
  }
  return source;
}

Event EventSource::At(uint64_t number) const {
  Event event = events_[number % events_.size()];
  const uint64_t round = number / events_.size();
  if (round > 0) absl::StrAppend(&event.id, "-", round);
  return event;
}

double EventSource::bytes_mean() const {
  double sum = 0;
  for (const Event& event : events_) sum += static_cast<double>(EncodedBytes(event));
  return sum / static_cast<double>(events_.size());
}

}  // namespace forebay
