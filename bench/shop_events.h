// Events that benchmarks take in.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "block/block.h"
#include "runtime/random.h"

namespace forebay {

// A click of a web shop: numbers and ids differ, the rest repeats, as in a real log.
inline std::string ShopPayload(Random& random, size_t bytes) {
  std::string payload = absl::StrCat(
      R"({"session":")", random.HexId(), R"(","page":"/products/)", random.Below(5000),
      R"(","referrer":"https://www.example.com/search?q=)", random.Below(1000), R"(","ms":)",
      random.Below(2000), R"(,"agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/)",
      100 + random.Below(30), R"(.0","items":[)");
  while (payload.size() + 40 < bytes) {
    absl::StrAppend(&payload, R"({"sku":)", 10000 + random.Below(90000), R"(,"qty":)",
                    random.Below(9), R"(,"cents":)", random.Below(99999), "},");
  }
  payload.back() = ']';
  return payload + "}";
}

// Events of about event_bytes each, block_bytes in all.
inline std::vector<Event> ShopEvents(size_t block_bytes, size_t event_bytes) {
  Random random(7);
  std::vector<Event> events;
  for (size_t bytes = 0; bytes < block_bytes;) {
    Event event{.id = random.HexId(),
                .key = absl::StrCat("user-", random.Below(10000)),
                .time = absl::FromUnixMillis(1'700'000'000'000 + events.size()),
                .type = "page_view",
                .payload = "",
                .attributes = {{"region", "eu-central"}}};
    const size_t frame = EncodedBytes(event);
    event.payload = ShopPayload(random, event_bytes > frame ? event_bytes - frame : 0);
    bytes += EncodedBytes(event);
    events.push_back(std::move(event));
  }
  events.pop_back();
  return events;
}

}  // namespace forebay
