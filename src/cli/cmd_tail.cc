// forebay tail
#include <unistd.h>

#include <iostream>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "block/event_json.h"
#include "block/json_text.h"
#include "cli/commands.h"
#include "cli/stream_choice.h"
#include "node/exit_code.h"
#include "runtime/mutex.h"
#include "runtime/thread_executor.h"

namespace forebay {
namespace {

struct Asked {
  RemoteNodes nodes;
  std::string stream;
  std::vector<uint32_t> partitions;
  std::string from = "start";
  bool follow = false;
  bool offsets = false;
  uint64_t limit = 0;
  absl::Duration patience = absl::Seconds(15);
};

class Tailer {
 public:
  explicit Tailer(const Asked& asked) : asked_(asked) {}

  int Run() {
    RemoteCluster cluster(asked_.nodes);
    const absl::StatusOr<StreamId> stream = ChooseStream(cluster, asked_.stream);
    if (!stream.ok()) return Fail(stream.status());
    TailStart start;
    uint64_t offset = 0;
    if (asked_.from == "end") {
      start.at_end = true;
    } else if (absl::SimpleAtoi(asked_.from, &offset)) {
      start.offset = Offset(offset);
    } else if (asked_.from != "start") {
      return Fail(absl::InvalidArgumentError("--from must be start, end or an offset, not '" +
                                             asked_.from + "'"));
    }
    std::vector<uint32_t> partitions = asked_.partitions;
    if (partitions.empty()) {
      const auto count = cluster.PartitionCount(*stream, absl::Seconds(5));
      if (!count.ok()) return Fail(count.status());
      for (uint32_t i = 0; i < *count; ++i) partitions.push_back(i);
    }
    {
      // Following needs one thread each; without it they come one after the other.
      std::vector<std::unique_ptr<ThreadExecutor>> threads;
      const size_t thread_count = asked_.follow ? partitions.size() : 1;
      for (size_t i = 0; i < thread_count; ++i) {
        threads.push_back(std::make_unique<ThreadExecutor>("tail"));
      }
      for (size_t i = 0; i < partitions.size(); ++i) {
        const PartitionId partition{.stream = *stream, .index = partitions[i]};
        threads[i % thread_count]->Post([&, partition] { TailOne(cluster, partition, start); });
      }
    }
    MutexLock lock(mutex_);
    return first_error_.ok() ? kExitOk : Fail(first_error_);
  }

 private:
  void TailOne(RemoteCluster& cluster, const PartitionId& partition, TailStart start) {
    const absl::Status status = cluster.Tail(
        partition, start, asked_.follow, asked_.patience,
        [&](absl::Span<const TailedEvent> events) { return Print(partition, events); });
    MutexLock lock(mutex_);
    first_error_.Update(status);
  }

  // False when enough was printed, or nobody reads it any more.
  bool Print(const PartitionId& partition, absl::Span<const TailedEvent> events) {
    MutexLock lock(mutex_);
    std::string out;
    for (const TailedEvent& event : events) {
      if (asked_.limit > 0 && printed_ >= asked_.limit) break;
      ++printed_;
      if (asked_.offsets) {
        absl::StrAppend(&out, "{\"partition\":", partition.index,
                        ",\"offset\":", event.offset.value(), ",\"event\":");
      }
      AppendEventJson(event.event, out);
      out += asked_.offsets ? "}\n" : "\n";
    }
    // Bytes stay as they are for who reads them, and do nothing to who looks at them.
    std::cout << (to_terminal_ ? JsonForTerminal(out) : out) << std::flush;
    return std::cout.good() && (asked_.limit == 0 || printed_ < asked_.limit);
  }

  const Asked& asked_;
  const bool to_terminal_ = isatty(STDOUT_FILENO) == 1;
  Mutex mutex_;
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
  uint64_t printed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

void AddTailCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("tail", "Print committed events, one JSON object a line");
  auto asked = std::make_shared<Asked>();
  AddNodesOption(*command, asked->nodes);
  command->add_option("--stream", asked->stream, "The stream (default: the only one there is)");
  command->add_option("--partition", asked->partitions, "Only these (default: all)")
      ->delimiter(',');
  command->add_option("--from", asked->from, "start = the oldest kept, end, or an offset")
      ->capture_default_str();
  command->add_flag("--follow,-f", asked->follow, "Wait for new events");
  command->add_flag("--offsets", asked->offsets,
                    "Print {\"partition\", \"offset\", \"event\"} instead of the event");
  command->add_option("--limit", asked->limit, "Stop after this many events (0: never)");
  AddDurationOption(*command, "--patience", asked->patience,
                    "Give up when a partition has had no owner for this long");
  command->footer(
      "Events that every sink has had are trimmed and not shown.\n"
      "Exit codes: 0 done, 2 no such stream or partition, 3 out of reach.\n"
      "Example: forebay tail --stream web --from end --follow");
  command->callback([asked, &exit_code] { exit_code = Tailer(*asked).Run(); });
}

}  // namespace forebay
