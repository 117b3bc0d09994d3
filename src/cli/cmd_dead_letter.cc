// forebay dead-letter list|replay
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/dead_letter_replay.h"
#include "cli/numbers.h"
#include "cli/stream_choice.h"
#include "drain/dead_letter.h"
#include "node/exit_code.h"

namespace forebay {
namespace {

struct Asked {
  RemoteNodes nodes;
  std::string stream;
  bool json = false;
  absl::Duration limit = absl::Seconds(15);
};

std::string Shown(const absl::Status& status) { return Printable(std::string(status.message())); }

std::shared_ptr<Asked> Start(CLI::App& command) {
  auto asked = std::make_shared<Asked>();
  AddNodesOption(command, asked->nodes);
  command.add_option("--stream", asked->stream,
                     "The stream whose events were refused (default: the only one there is)");
  AddDurationOption(command, "--limit", asked->limit, "How long to wait for each event");
  return asked;
}

std::string NameOf(const FoundDeadLetter::Place& at) {
  return absl::StrCat(at.partition.index, "/", at.offset.value());
}

// Counts the events that are no dead letters, and says so of each.
class Foreign {
 public:
  explicit Foreign(std::ostream& out) : out_(out) {}

  void Say(const FoundDeadLetter::Place& at, const absl::Status& why) {
    ++count_;
    out_ << NameOf(at) << "  foreign, passed over: " << Shown(why) << "\n";
  }
  void SayCount() const {
    if (count_ > 0) out_ << Grouped(count_) << " other events, which were passed over\n";
  }

 private:
  std::ostream& out_;
  uint64_t count_ = 0;
};

int List(const Asked& asked) {
  RemoteCluster cluster(asked.nodes);
  const absl::StatusOr<StreamId> stream = ChooseStream(cluster, asked.stream);
  if (!stream.ok()) return Fail(stream.status());
  uint64_t count = 0;
  Foreign foreign(std::cout);
  DeadLetterVisitor visitor;
  visitor.foreign = [&](const auto& at, const absl::Status& why) { foreign.Say(at, why); };
  visitor.letter = [&](const FoundDeadLetter& found) {
    const DeadLetter& letter = found.letter;
    ++count;
    std::cout << Printable(absl::StrCat(NameOf(found.at), "  event '", letter.event.id, "' of ",
                                        letter.partition.ToString(), " offset ",
                                        letter.offset.value(), ", refused by sink ",
                                        letter.sink.value(), ": ", letter.reason))
              << "\n";
    return absl::OkStatus();
  };
  const absl::Status status = ForEachDeadLetter(cluster, *stream, asked.limit, visitor);
  if (!status.ok()) return Fail(status);
  foreign.SayCount();
  std::cout << Grouped(count) << " dead letters\n";
  return kExitOk;
}

int Replay(const Asked& asked) {
  RemoteCluster cluster(asked.nodes);
  const absl::StatusOr<StreamId> stream = ChooseStream(cluster, asked.stream);
  if (!stream.ok()) return Fail(stream.status());
  DeadLetterReplay replay(asked.nodes, asked.limit);
  Foreign foreign(std::cerr);
  absl::Status refused;
  DeadLetterVisitor visitor;
  visitor.foreign = [&](const auto& at, const absl::Status& why) { foreign.Say(at, why); };
  visitor.letter = [&](const FoundDeadLetter& found) {
    const absl::Status status = replay.Replay(found);
    if (!absl::IsInvalidArgument(status)) return status;
    // That one never will be taken, the others may.
    std::cerr << NameOf(found.at) << "  refused: " << Shown(status) << "\n";
    refused = absl::FailedPreconditionError("not all dead letters could be appended");
    return absl::OkStatus();
  };
  const absl::Status status = ForEachDeadLetter(cluster, *stream, asked.limit, visitor);
  foreign.SayCount();
  std::cout << Grouped(replay.replayed()) << " dead letters replayed\n";
  if (!status.ok()) return Fail(status);
  return refused.ok() ? kExitOk : Fail(refused);
}

}  // namespace

void AddDeadLetterCommand(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("dead-letter", "Events that a sink can never take: list or replay them");
  command->require_subcommand(1);
  CLI::App* list = command->add_subcommand("list", "Show each with the reason");
  const auto list_asked = Start(*list);
  list->footer(
      "Exit codes: 0 done, 2 no such stream, 3 out of reach.\n"
      "Example: forebay dead-letter list --stream web");
  list->callback([list_asked, &exit_code] { exit_code = List(*list_asked); });

  CLI::App* replay =
      command->add_subcommand("replay", "Append them again to the stream they came from");
  const auto replay_asked = Start(*replay);
  replay->footer(
      "Mend the cause first, or they come back. Each goes to its old partition, once: a repeated "
      "replay within 24 h stores nothing twice. Every sink of the stream gets it, also one that "
      "has taken the original.\n"
      "Exit codes: 0 all are stored, 1 one is not, 2 no such stream, 3 out of reach.\n"
      "Example: forebay dead-letter replay --stream web");
  replay->callback([replay_asked, &exit_code] { exit_code = Replay(*replay_asked); });
}

}  // namespace forebay
