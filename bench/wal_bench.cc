// The write-ahead log's group commit, and what it writes to the disk for each byte appended. TMPDIR
// says on which disk.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "block/block.h"
#include "runtime/mutex.h"
#include "runtime/random.h"
#include "wal/rocks_wal_store.h"

namespace forebay {
namespace {

constexpr size_t kBlockBytes = 64 << 10;

// Bytes that do not compress, as those of a compressed block.
Block RandomBlock() {
  Random random(1);
  Event event;
  event.id = "id";
  event.time = absl::UnixEpoch();
  while (event.payload.size() < kBlockBytes) event.payload += static_cast<char>(random.Next());
  return *EncodeBlock({ProducerId("p"), 0, 0}, {&event, 1}, Codec::kNone);
}

// What this process has caused to be written to storage.
uint64_t BytesWritten() {
  std::ifstream io("/proc/self/io");
  std::string name;
  uint64_t value = 0;
  while (io >> name >> value) {
    if (name == "write_bytes:") return value;
  }
  return 0;
}

class Log {
 public:
  explicit Log(int segments) {
    std::string made = (std::filesystem::temp_directory_path() / "forebay-bench-XXXXXX").string();
    directory_ = mkdtemp(made.data());
    store_ = *RocksWalStore::Open({directory_ + "/wal", NodeId("bench"), Incarnation(1)});
    for (int i = 0; i < segments; ++i) Write({OpenSegment{Key(i), Offset(0), ""}});
    tails_.assign(segments, 0);
    Wait();
  }
  ~Log() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Append(int segment) {
    Write({AppendBlock{Key(segment), Offset(tails_[segment]++), block_}});
  }
  // Drops the segment's blocks but for the last ones.
  void TrimBehind(int segment, uint64_t blocks_kept) {
    if (tails_[segment] <= blocks_kept) return;
    Write({TrimSegment{Key(segment), Offset(tails_[segment] - blocks_kept), ""}});
  }
  // Until no more than so many writes are under way.
  void Wait(int under_way = 0) {
    MutexLock lock(mutex_);
    while (under_way_ > under_way) changed_.Wait(mutex_);
  }
  uint64_t syncs() const { return store_->stats().syncs; }

 private:
  static SegmentKey Key(int segment) {
    return {{StreamId("bench"), static_cast<uint32_t>(segment)}, Epoch(1)};
  }
  void Write(std::vector<WalWrite> writes) {
    {
      MutexLock lock(mutex_);
      ++under_way_;
    }
    store_->Write(std::move(writes), [this](const absl::Status& status) {
      if (!status.ok()) std::abort();
      MutexLock lock(mutex_);
      --under_way_;
      changed_.SignalAll();
    });
  }

  const Block block_ = RandomBlock();
  std::string directory_;
  std::vector<uint64_t> tails_;
  Mutex mutex_;
  CondVar changed_;
  int under_way_ = 0;
  std::unique_ptr<RocksWalStore> store_;
};

// So many writers, each with one block under way.
void GroupCommit(benchmark::State& state) {
  const int writers = static_cast<int>(state.range(0));
  Log log(writers);
  const uint64_t syncs_before = log.syncs();
  int next = 0;
  for (auto _ : state) {
    log.Append(next++ % writers);
    log.Wait(writers - 1);
  }
  log.Wait();
  const auto blocks = static_cast<double>(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kBlockBytes));
  state.counters["blocks_per_sync"] = blocks / static_cast<double>(log.syncs() - syncs_before);
}
BENCHMARK(GroupCommit)->Arg(1)->Arg(8)->Arg(64)->UseRealTime()->MinTime(2);

// 64 partitions, 64 writers; the drain keeps so many blocks of each behind it (0: keeps all).
void BytesWrittenPerByteAppended(benchmark::State& state) {
  constexpr int kSegments = 64;
  constexpr uint64_t kBlocks = 16'384;  // 1 GiB
  const auto blocks_kept = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    Log log(kSegments);
    const uint64_t before = BytesWritten();
    for (uint64_t i = 0; i < kBlocks; ++i) {
      const int segment = static_cast<int>(i % kSegments);
      log.Append(segment);
      if (blocks_kept > 0 && i / kSegments % 2 == 1) log.TrimBehind(segment, blocks_kept);
      log.Wait(kSegments);
    }
    log.Wait();
    state.counters["written_per_appended"] =
        static_cast<double>(BytesWritten() - before) / static_cast<double>(kBlocks * kBlockBytes);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kBlocks * kBlockBytes));
}
// 2 blocks of 64 partitions are 8 MiB behind.
BENCHMARK(BytesWrittenPerByteAppended)->Arg(2)->Arg(0)->UseRealTime()->Iterations(1);

}  // namespace
}  // namespace forebay
