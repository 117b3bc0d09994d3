// forebay append
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/event_lines.h"
#include "cli/numbers.h"
#include "cli/stream_choice.h"
#include "forebay/client.h"
#include "node/exit_code.h"
#include "runtime/mutex.h"
#include "runtime/real_clock.h"

namespace forebay {
namespace {

struct Asked {
  RemoteNodes nodes;
  std::string stream;
  std::string input = "-";
  bool strict = false;
  absl::Duration give_up_after = absl::InfiniteDuration();
};

class Appender {
 public:
  explicit Appender(const Asked& asked) : asked_(asked) {}

  int Run() {
    std::ifstream file;
    if (asked_.input != "-") {
      file.open(asked_.input);
      if (!file) return Fail(absl::NotFoundError("cannot read " + asked_.input));
    }
    RemoteCluster cluster(asked_.nodes);
    const absl::StatusOr<StreamId> stream = ChooseStream(cluster, asked_.stream);
    if (!stream.ok()) return Fail(stream.status());
    ClientOptions options;
    options.nodes = asked_.nodes.addresses;
    options.tls = asked_.nodes.tls;
    options.token_file = asked_.nodes.token_file;
    options.stream = *stream;
    options.batch.give_up_after = asked_.give_up_after;
    auto client = Client::Connect(options);
    if (!client.ok()) return Fail(client.status());
    SendAll(**client, asked_.input == "-" ? std::cin : file);
    (*client)->Flush(absl::InfiniteDuration()).IgnoreError();
    (*client)->Close(absl::Seconds(10)).IgnoreError();
    return Summary();
  }

 private:
  void SendAll(Client& client, std::istream& in) {
    EventLines lines(in);
    absl::StatusOr<Event> event;
    while (lines.Next(event)) {
      if (!event.ok()) {
        Say(std::string(event.status().message()));
        ++bad_lines_;
        if (asked_.strict) return Say("stopped there (--strict); what came before is sent");
        continue;
      }
      const uint64_t line = lines.line();
      ++sent_;
      client.Append(*std::move(event), [this, line](const AppendResult& r) { Settle(line, r); });
      Progress();
    }
  }

  void Settle(uint64_t line, const AppendResult& result) {
    MutexLock lock(mutex_);
    if (result.outcome == Outcome::kAcknowledged) {
      ++acknowledged_;
      return;
    }
    ++failed_;
    // One line each would bury the first, which tells most.
    if (failed_ > 20) return;
    std::cerr << "line " << line << ": "
              << (result.outcome == Outcome::kNotStored ? "not stored: " : "outcome unknown: ")
              << std::string(result.status.message()) << std::endl;
  }

  void Say(const std::string& text) {
    MutexLock lock(mutex_);
    std::cerr << (drawn_ ? "\r\033[K" : "") << text << std::endl;
    drawn_ = false;
  }

  void Progress() {
    if (!terminal_ || clock_.Now() < shown_ + absl::Milliseconds(200)) return;
    shown_ = clock_.Now();
    MutexLock lock(mutex_);
    std::cerr << "\r\033[Ksent " << Grouped(sent_) << ", acknowledged " << Grouped(acknowledged_)
              << std::flush;
    drawn_ = true;
  }

  int Summary() {
    uint64_t acknowledged, failed;
    {
      MutexLock lock(mutex_);
      acknowledged = acknowledged_;
      failed = failed_;
    }
    Say(absl::StrCat("sent ", Grouped(sent_), ", acknowledged ", Grouped(acknowledged),
                     failed > 0 ? ", not stored or unknown " + Grouped(failed) : "",
                     bad_lines_ > 0 ? ", bad lines " + Grouped(bad_lines_) : ""));
    return bad_lines_ == 0 && acknowledged == sent_ ? kExitOk : kExitFailed;
  }

  const Asked& asked_;
  const bool terminal_ = ::isatty(2) == 1;
  const RealClock clock_;
  absl::Time shown_ = absl::InfinitePast();
  uint64_t sent_ = 0;
  uint64_t bad_lines_ = 0;
  bool drawn_ = false;
  Mutex mutex_;
  uint64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

void AddAppendCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("append", "Append events, one JSON object a line");
  auto asked = std::make_shared<Asked>();
  AddNodesOption(*command, asked->nodes);
  command->add_option("--stream", asked->stream, "The stream (default: the only one there is)");
  command->add_option("--input", asked->input, "A file, or - for stdin")->capture_default_str();
  command->add_flag("--strict", asked->strict, "Stop at the first bad line");
  AddDurationOption(*command, "--give-up-after", asked->give_up_after,
                    "Retry an event for this long, then report its outcome as unknown");
  command->footer(
      "A line: {\"payload\": any JSON, \"id\", \"key\", \"time\" (RFC 3339), \"type\", "
      "\"attributes\": {name: text}}; all but the payload may be left out.\n"
      "A bad line is reported with its number and does not stop the rest.\n"
      "Exit codes: 0 every event is stored, 1 some are not or some lines are bad, 2 wrong usage, "
      "3 no node answers.\n"
      "Example: echo '{\"key\":\"k1\",\"payload\":{\"n\":1}}' | forebay append --stream web");
  command->callback([asked, &exit_code] { exit_code = Appender(*asked).Run(); });
}

}  // namespace forebay
