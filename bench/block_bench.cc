// Encode, parse and decode one 256 KiB block of JSON events, per codec and event size.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "block/block.h"
#include "runtime/random.h"

namespace forebay {
namespace {

constexpr size_t kBlockBytes = 256 << 10;

// A click of a web shop: numbers and ids differ, the rest repeats, as in a real log.
std::string Payload(Random& random, size_t bytes) {
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

std::vector<Event> Events(size_t event_bytes) {
  Random random(7);
  std::vector<Event> events;
  for (size_t bytes = 0; bytes < kBlockBytes;) {
    Event event{.id = random.HexId(),
                .key = absl::StrCat("user-", random.Below(10000)),
                .time = absl::FromUnixMillis(1'700'000'000'000 + events.size()),
                .type = "page_view",
                .payload = "",
                .attributes = {{"region", "eu-central"}}};
    const size_t frame = EncodedBytes(event);
    event.payload = Payload(random, event_bytes > frame ? event_bytes - frame : 0);
    bytes += EncodedBytes(event);
    events.push_back(std::move(event));
  }
  events.pop_back();
  return events;
}

Block Encode(const std::vector<Event>& events, Codec codec) {
  const BlockStamp stamp{.producer = ProducerId("bench")};
  return EncodeBlock(stamp, events, codec).value();
}

void Count(benchmark::State& state, const Block& block) {
  const auto rounds = static_cast<int64_t>(state.iterations());
  state.SetItemsProcessed(rounds * block.event_count());
  state.SetBytesProcessed(rounds * static_cast<int64_t>(block.raw_bytes()));
  state.counters["ratio"] =
      static_cast<double>(block.raw_bytes()) / static_cast<double>(block.bytes().size());
}

void EncodeEvents(benchmark::State& state, Codec codec) {
  const std::vector<Event> events = Events(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(Encode(events, codec));
  Count(state, Encode(events, codec));
}

void ParseBlock(benchmark::State& state, Codec codec) {
  const Block block = Encode(Events(static_cast<size_t>(state.range(0))), codec);
  for (auto _ : state) benchmark::DoNotOptimize(Block::Parse(std::string(block.bytes())));
  Count(state, block);
}

void DecodeBlock(benchmark::State& state, Codec codec) {
  const Block block = Encode(Events(static_cast<size_t>(state.range(0))), codec);
  for (auto _ : state) benchmark::DoNotOptimize(block.Decode());
  Count(state, block);
}

BENCHMARK_CAPTURE(EncodeEvents, none, Codec::kNone)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(EncodeEvents, lz4, Codec::kLz4)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(EncodeEvents, zstd, Codec::kZstd)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(ParseBlock, zstd, Codec::kZstd)->Arg(400);
BENCHMARK_CAPTURE(DecodeBlock, none, Codec::kNone)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(DecodeBlock, lz4, Codec::kLz4)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(DecodeBlock, zstd, Codec::kZstd)->Arg(400)->Arg(1024);

}  // namespace
}  // namespace forebay
