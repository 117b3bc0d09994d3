// What Append costs its caller in a program that links the library: the caller's own time and
// allocations. One node, one copy, a store in the temporary directory.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "forebay/buffer.h"
#include "shop_events.h"

namespace {

thread_local uint64_t allocations = 0;  // of this thread

}  // namespace

// Not inlined, or the compiler takes free for the wrong partner of new.
[[gnu::noinline]] void* operator new(size_t bytes) {
  allocations++;
  if (void* const made = std::malloc(bytes)) return made;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* made) noexcept { std::free(made); }
[[gnu::noinline]] void operator delete(void* made, size_t) noexcept { std::free(made); }

namespace forebay {
namespace {

const StreamId kStream("shop");

// Removed at the end.
class Node {
 public:
  Node() {
    std::filesystem::create_directories(folder_);
    BufferOptions options;
    options.node = NodeId("a1");
    options.zone = ZoneId("a");
    options.data_directory = folder_ / "a1";
    options.metadata = absl::StrCat("sqlite:", (folder_ / "metadata.db").string());
    StreamOptions stream;
    stream.name = kStream;
    stream.copies = stream.ack_copies = stream.ack_zones = 1;
    options.streams = {stream};
    options.batch.memory_bytes_max = uint64_t{256} << 20;
    auto opened = Buffer::Open(options);
    status_ = opened.status();
    if (opened.ok()) buffer_ = *std::move(opened);
  }
  ~Node() {
    buffer_.reset();
    std::filesystem::remove_all(folder_);
  }
  Buffer* buffer() { return buffer_.get(); }
  const absl::Status& status() const { return status_; }

 private:
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / absl::StrCat("forebay-append-bench-", ::getpid());
  absl::Status status_;
  std::unique_ptr<Buffer> buffer_;
};

// In bursts that fit into memory, so that nobody waits for room; what is between them is not
// counted, nor is the making of the events.
void Append(benchmark::State& state) {
  constexpr size_t kBurstBytes = 16 << 20;
  Node node;
  if (node.buffer() == nullptr) return state.SkipWithError(node.status().ToString().c_str());
  const std::vector<Event> burst = ShopEvents(kBurstBytes, static_cast<size_t>(state.range(0)));
  std::atomic<uint64_t> failed = 0;
  uint64_t allocated = 0, events = 0;
  while (state.KeepRunningBatch(static_cast<int64_t>(burst.size()))) {
    state.PauseTiming();
    std::vector<Event> given = burst;
    const uint64_t before = allocations;
    state.ResumeTiming();
    for (Event& event : given) {
      node.buffer()->Append(kStream, std::move(event), [&failed](const AppendResult& result) {
        if (result.outcome != Outcome::kAcknowledged) failed++;
      });
    }
    state.PauseTiming();
    allocated += allocations - before;
    events += given.size();
    if (!node.buffer()->Flush(absl::Minutes(1)).ok()) failed++;
    state.ResumeTiming();
  }
  if (failed > 0) return state.SkipWithError("not everything was acknowledged");
  state.counters["allocations"] = static_cast<double>(allocated) / static_cast<double>(events);
  state.SetItemsProcessed(static_cast<int64_t>(events));
}
BENCHMARK(Append)->Arg(200)->Arg(1024);

}  // namespace
}  // namespace forebay
