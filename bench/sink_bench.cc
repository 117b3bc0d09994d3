// What a sink does for a batch of a MiB of events, in a folder of the temporary directory.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "forebay/sink.h"
#include "shop_events.h"

namespace forebay {
namespace {

constexpr size_t kBatchBytes = 1 << 20;
const PartitionId kPartition{StreamId("shop"), 0};

// Removed at the end.
class Folder {
 public:
  Folder() { std::filesystem::create_directories(path_); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_.string(); }

 private:
  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / absl::StrCat("forebay-sink-bench-", ::getpid());
};

void Deliver(benchmark::State& state, Sink& sink, const SinkId& name) {
  const std::vector<Event> events = ShopEvents(kBatchBytes, static_cast<size_t>(state.range(0)));
  const auto progress = sink.Open(kPartition, Epoch(1));
  if (!progress.ok()) return state.SkipWithError("the sink does not open");
  SinkBatch batch;
  batch.sink = name;
  batch.partition = kPartition;
  batch.epoch = Epoch(1);
  batch.events = events;
  batch.first = progress->next.value_or(Offset());  // a server outlives the run before this one
  for (auto _ : state) {
    batch.last = batch.first + (events.size() - 1);
    const absl::Status status = sink.Deliver(batch);
    if (!status.ok()) return state.SkipWithError(status.ToString().c_str());
    batch.first = batch.last + 1;
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * events.size()));
}

void Sqlite(benchmark::State& state) {
  const Folder folder;
  const SinkId name("sqlite");
  Deliver(state, **OpenSqliteSink({.name = name, .path = folder.path() + "/events.db"}), name);
}
BENCHMARK(Sqlite)->Arg(200)->Arg(1024)->UseRealTime();

void Files(benchmark::State& state) {
  const Folder folder;
  const SinkId name("files");
  Deliver(state, **OpenFilesSink({.name = name, .directory = folder.path()}), name);
}
BENCHMARK(Files)->Arg(200)->Arg(1024)->UseRealTime();

// Beside scripts/with-postgres.
void Postgres(benchmark::State& state) {
  const char* const url = std::getenv("FOREBAY_POSTGRES_URL");
  if (url == nullptr) return state.SkipWithError("no FOREBAY_POSTGRES_URL");
  const SinkId name("postgres");
  Deliver(state, **OpenPostgresSink({.name = name, .url = url, .table = "sink_bench"}), name);
}
BENCHMARK(Postgres)->Arg(200)->Arg(1024)->UseRealTime();

}  // namespace
}  // namespace forebay
