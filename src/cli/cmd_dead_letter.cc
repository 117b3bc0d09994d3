// forebay dead-letter list|replay
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
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

std::shared_ptr<Asked> Start(CLI::App& command) {
  auto asked = std::make_shared<Asked>();
  AddNodesOption(command, asked->nodes);
  command.add_option("--stream", asked->stream,
                     "The stream whose events were refused (default: the only one there is)");
  AddDurationOption(command, "--limit", asked->limit, "How long to wait for each event");
  return asked;
}

int List(const Asked& asked) {
  RemoteCluster cluster(asked.nodes);
  const absl::StatusOr<StreamId> stream = ChooseStream(cluster, asked.stream);
  if (!stream.ok()) return Fail(stream.status());
  uint64_t count = 0;
  const absl::Status status =
      ForEachDeadLetter(cluster, *stream, asked.limit, [&](const FoundDeadLetter& found) {
        const DeadLetter& letter = found.letter;
        ++count;
        std::cout << found.at.partition.index << "/" << found.at.offset << "  event '"
                  << letter.event.id << "' of " << letter.partition << " offset " << letter.offset
                  << ", refused by sink " << letter.sink << ": " << letter.reason << "\n";
        return absl::OkStatus();
      });
  if (!status.ok()) return Fail(status);
  std::cout << Grouped(count) << " dead letters\n";
  return kExitOk;
}

int Replay(const Asked& asked) {
  RemoteCluster cluster(asked.nodes);
  const absl::StatusOr<StreamId> stream = ChooseStream(cluster, asked.stream);
  if (!stream.ok()) return Fail(stream.status());
  DeadLetterReplay replay(asked.nodes, asked.limit);
  const absl::Status status =
      ForEachDeadLetter(cluster, *stream, asked.limit,
                        [&](const FoundDeadLetter& found) { return replay.Replay(found); });
  std::cout << Grouped(replay.replayed()) << " dead letters replayed\n";
  return status.ok() ? kExitOk : Fail(status);
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
