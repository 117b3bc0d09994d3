// forebay status
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/status_view.h"
#include "node/exit_code.h"

namespace forebay {

void AddStatusCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "status", "Show zones, nodes, partitions, sinks, and what is under-replicated");
  struct Asked {
    RemoteNodes nodes;
    bool json = false;
    absl::Duration limit = absl::Seconds(3);
  };
  auto asked = std::make_shared<Asked>();
  AddNodesOption(*command, asked->nodes);
  command->add_flag("--json", asked->json, "For programs");
  AddDurationOption(*command, "--limit", asked->limit, "How long to wait for a node");
  command->footer(
      "LAG counts committed events that the sink does not have yet; OLDEST is the age of the "
      "oldest of them.\n"
      "Exit codes: 0 all nodes (but those that are leaving) answer and nothing is "
      "under-replicated, "
      "1 otherwise, 3 no node answers.\n"
      "Example: forebay status --nodes 10.0.0.1:7400,10.0.1.1:7400");
  command->callback([asked, &exit_code] {
    RemoteCluster cluster(asked->nodes);
    const absl::StatusOr<ClusterStatus> status = cluster.Status(asked->limit);
    if (!status.ok()) {
      exit_code = Fail(status.status());
      return;
    }
    std::cout << (asked->json ? StatusJson(*status) : StatusTables(*status));
    exit_code = IsWell(*status) ? kExitOk : kExitFailed;
  });
}

}  // namespace forebay
