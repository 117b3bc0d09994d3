// Encode, parse and decode one 256 KiB block of JSON events, per codec and event size.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "block/block.h"
#include "compare/events.h"
#include "shop_events.h"

namespace forebay {
namespace {

constexpr size_t kBlockBytes = 256 << 10;

std::vector<Event> Events(size_t event_bytes) { return ShopEvents(kBlockBytes, event_bytes); }

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

// What AppendBlocks does with a block before it is stored.
void ValidateBlock(benchmark::State& state, Codec codec) {
  const Block block = Encode(Events(static_cast<size_t>(state.range(0))), codec);
  for (auto _ : state) benchmark::DoNotOptimize(block.Validate());
  Count(state, block);
}

void DecodeBlock(benchmark::State& state, Codec codec) {
  const Block block = Encode(Events(static_cast<size_t>(state.range(0))), codec);
  for (auto _ : state) benchmark::DoNotOptimize(block.Decode());
  Count(state, block);
}

// The 1 KiB events of scripts/bench compare, in blocks of so many KiB: what goes between zones.
void EncodeAnalytics(benchmark::State& state, Codec codec) {
  const compare::EventPool pool(1024);
  std::vector<Event> events(static_cast<size_t>(state.range(0)));
  for (uint64_t i = 0; i < events.size(); i++) pool.Write({.number = i}, events[i].payload);
  for (auto _ : state) benchmark::DoNotOptimize(Encode(events, codec));
  Count(state, Encode(events, codec));
}

BENCHMARK_CAPTURE(EncodeAnalytics, lz4, Codec::kLz4)->Arg(16)->Arg(256);
BENCHMARK_CAPTURE(EncodeAnalytics, zstd, Codec::kZstd)->Arg(4)->Arg(16)->Arg(64)->Arg(256);
BENCHMARK_CAPTURE(EncodeEvents, none, Codec::kNone)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(EncodeEvents, lz4, Codec::kLz4)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(EncodeEvents, zstd, Codec::kZstd)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(ParseBlock, zstd, Codec::kZstd)->Arg(400);
BENCHMARK_CAPTURE(ValidateBlock, none, Codec::kNone)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(ValidateBlock, lz4, Codec::kLz4)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(ValidateBlock, zstd, Codec::kZstd)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(DecodeBlock, none, Codec::kNone)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(DecodeBlock, lz4, Codec::kLz4)->Arg(400)->Arg(1024);
BENCHMARK_CAPTURE(DecodeBlock, zstd, Codec::kZstd)->Arg(400)->Arg(1024);

}  // namespace
}  // namespace forebay
