#include "testbed/event_source.h"

#include <fstream>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "block/block.h"
#include "cli/event_lines.h"
#include "runtime/random.h"

namespace forebay {
namespace {

constexpr size_t kMadeUpEvents = 10'000;
// Fewer when they are large, so that they do not fill the memory of who measures.
constexpr uint64_t kMadeUpBytes = uint64_t{64} << 20;
constexpr size_t kMadeUpEventsMin = 100;
// What the key, time, type and framing of a made-up event without an id add to its payload.
constexpr uint64_t kAroundPayload = 36;

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

std::string RandomBytes(Random& random, size_t bytes) {
  std::string out;
  while (out.size() < bytes) {
    const uint64_t next = random.Next();
    out.append(reinterpret_cast<const char*>(&next), std::min(sizeof(next), bytes - out.size()));
  }
  return out;
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
  return MadeUpOf(std::vector<size_t>(kMadeUpEvents, payload_bytes), /*incompressible=*/false);
}

EventSource EventSource::MadeUp(const MadeUpEvents& wanted) {
  uint64_t weights = 0, sum = 0;
  for (const SizeShare& share : wanted.sizes) {
    weights += share.weight;
    sum += share.weight * share.bytes;
  }
  const size_t count =
      std::clamp<size_t>(kMadeUpBytes / (sum / weights + 1), kMadeUpEventsMin, kMadeUpEvents);
  // The size that is furthest behind its share comes next: the mix is exact, and well mixed.
  std::vector<uint64_t> given(wanted.sizes.size());
  std::vector<size_t> payloads;
  for (size_t i = 1; i <= count; ++i) {
    size_t next = 0;
    double furthest = -1;
    for (size_t s = 0; s < given.size(); ++s) {
      const double due =
          static_cast<double>(i * wanted.sizes[s].weight) / static_cast<double>(weights);
      const double behind = due - static_cast<double>(given[s]);
      if (behind <= furthest) continue;
      furthest = behind;
      next = s;
    }
    ++given[next];
    const uint64_t bytes = wanted.sizes[next].bytes;
    payloads.push_back(bytes > kAroundPayload ? bytes - kAroundPayload : 1);
  }
  EventSource source = MadeUpOf(payloads, wanted.incompressible);
  for (Event& event : source.events_) event.id.clear();
  source.without_keys_ = wanted.keys == 0u;
  if (wanted.keys.value_or(0) > 0) {
    source.keys_ = std::make_shared<const ZipfKeys>(*wanted.keys, wanted.key_skew);
  }
  return source;
}

EventSource EventSource::MadeUpOf(const std::vector<size_t>& payload_bytes, bool incompressible) {
  EventSource source;
  Random random(1);
  const absl::Time start = absl::FromUnixSeconds(1'767'225'600);  // 2026-01-01
  for (size_t i = 0; i < payload_bytes.size(); ++i) {
    // The lesser of two draws: low numbers are visitors that come often.
    const uint64_t visitor = std::min(random.Below(2000), random.Below(2000));
    source.events_.push_back({.id = random.HexId(),
                              .key = absl::StrCat("visitor-", visitor),
                              .time = start + absl::Milliseconds(10 * i),
                              .type = "page_view",
                              .payload = incompressible ? RandomBytes(random, payload_bytes[i])
                                                        : MadeUpPayload(random, payload_bytes[i]),
                              .attributes = {}});
  }
  return source;
}

Event EventSource::At(uint64_t number) const {
  Event event = events_[number % events_.size()];
  const uint64_t round = number / events_.size();
  if (round > 0 && !event.id.empty()) absl::StrAppend(&event.id, "-", round);
  if (without_keys_) event.key.clear();
  if (keys_ != nullptr) event.key = absl::StrCat("key-", keys_->Of(number));
  return event;
}

double EventSource::bytes_mean() const {
  double sum = 0;
  for (const Event& event : events_) sum += static_cast<double>(EncodedBytes(event));
  return sum / static_cast<double>(events_.size());
}

}  // namespace forebay
