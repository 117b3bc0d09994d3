// forebay admin check|evacuate-zone|replace-node
#include <algorithm>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/maintenance_view.h"
#include "node/exit_code.h"
#include "runtime/pause.h"
#include "runtime/real_clock.h"

namespace forebay {
namespace {

// For a node to tell its status.
constexpr absl::Duration kStatusLimit = absl::Seconds(3);
constexpr absl::Duration kLookEvery = absl::Milliseconds(250);

struct Asked {
  RemoteNodes nodes;
  absl::Duration limit = absl::Minutes(10);
  TakeDownTarget target;
  std::string of = "node";
  std::string with;
  bool cancel = false;
  bool json = false;
};

absl::Status Unsafe(const TakeDownTarget& target, const std::vector<Obstacle>& obstacles) {
  return absl::FailedPreconditionError(
      CheckTables(target, obstacles) +
      "the nodes that stay could not hold what the streams ask for: add nodes first");
}

// Asks until it is safe, or the limit is over; answers the exit code.
int Check(const Asked& asked) {
  RemoteCluster cluster(asked.nodes);
  const RealClock clock;
  const absl::Time end = clock.Now() + asked.limit;
  while (true) {
    const absl::StatusOr<ClusterStatus> status = cluster.Status(kStatusLimit);
    if (!status.ok()) return Fail(status.status());
    const absl::StatusOr<std::set<NodeId>> nodes = NodesOf(asked.target, *status);
    if (!nodes.ok()) return Fail(nodes.status());
    const std::vector<Obstacle> obstacles = Judge(*status, *nodes);
    if (obstacles.empty() || clock.Now() >= end) {
      std::cout << (asked.json ? CheckJson(asked.target, *nodes, obstacles)
                               : CheckTables(asked.target, obstacles));
      return obstacles.empty() ? kExitOk : kExitFailed;
    }
    Pause(kLookEvery);
  }
}

// Is there a replacement as named, and room for what leaves?
absl::Status Prepare(const Asked& asked, const ClusterStatus& status) {
  const absl::StatusOr<std::set<NodeId>> leaving = NodesOf(asked.target, status);
  if (!leaving.ok()) return leaving.status();
  if (!asked.with.empty()) {
    const auto found =
        std::find_if(status.nodes.begin(), status.nodes.end(),
                     [&](const NodeStatus& node) { return node.record.id.value() == asked.with; });
    if (found == status.nodes.end() || !found->alive || found->leaving || found->record.draining) {
      return absl::FailedPreconditionError(
          absl::StrCat("node '", asked.with,
                       "' cannot replace another: it has to be up, and neither draining nor "
                       "leaving ('forebay status')"));
    }
    for (const NodeStatus& node : status.nodes) {
      if (node.record.id.value() != asked.target.name || node.record.zone == found->record.zone) {
        continue;
      }
      std::cerr << "note: " << asked.with << " is in zone " << found->record.zone.value() << ", "
                << asked.target.name << " in zone " << node.record.zone.value() << "\n";
    }
  }
  std::vector<Obstacle> obstacles = Judge(status, *leaving);
  std::erase_if(obstacles,
                [](const Obstacle& o) { return o.kind != Obstacle::Kind::kTooFewNodes; });
  return obstacles.empty() ? absl::OkStatus() : Unsafe(asked.target, obstacles);
}

// Shows on stderr what is left, until nothing is.
int Watch(const Asked& asked, RemoteCluster& cluster) {
  const RealClock clock;
  const absl::Time end = clock.Now() + asked.limit;
  std::string shown;
  while (clock.Now() < end) {
    const absl::StatusOr<ClusterStatus> status = cluster.Status(kStatusLimit);
    if (!status.ok()) return Fail(status.status());
    const absl::StatusOr<std::set<NodeId>> nodes = NodesOf(asked.target, *status);
    if (!nodes.ok()) return Fail(nodes.status());
    const Remains remains = RemainsOf(status->partitions, *nodes);
    const std::vector<Obstacle> obstacles = Judge(*status, *nodes);
    // Every node has heard of it: nothing new comes.
    const bool all_know = std::all_of(
        status->nodes.begin(), status->nodes.end(),
        [&](const NodeStatus& node) { return !nodes->contains(node.record.id) || node.leaving; });
    std::string line = RemainsLine(asked.target, remains);
    if (remains.nothing() && !obstacles.empty()) {
      line += "\nnot safe yet: " + obstacles.front().why;
    }
    if (line != shown) std::cerr << line << std::endl;
    shown = line;
    if (all_know && remains.nothing() && obstacles.empty()) {
      std::cout << "nothing is left: it is safe to stop " << asked.target.ToString() << "\n";
      return kExitOk;
    }
    Pause(kLookEvery);
  }
  std::cerr << "forebay: it is still going on, also without this command; run it again to watch\n";
  return kExitFailed;
}

int Leave(const Asked& asked) {
  RemoteCluster cluster(asked.nodes);
  const MaintenanceRecord record{asked.target.of, asked.target.name, !asked.cancel,
                                 NodeId(asked.with)};
  if (!asked.cancel) {
    const absl::StatusOr<ClusterStatus> status = cluster.Status(kStatusLimit);
    if (!status.ok()) return Fail(status.status());
    if (absl::Status ready = Prepare(asked, *status); !ready.ok()) return Fail(ready);
  }
  const absl::Status written = cluster.SetMaintenance(record, kStatusLimit);
  if (!written.ok()) return Fail(written);
  if (!asked.cancel) return Watch(asked, cluster);
  std::cout << asked.target.ToString() << " takes part again; its copies come back by themselves\n";
  return kExitOk;
}

void AddCheck(CLI::App& admin, int& exit_code) {
  CLI::App* command =
      admin.add_subcommand("check", "Is it safe to take a node or zone down now, and if not, why?");
  auto asked = std::make_shared<Asked>();
  asked->limit = absl::ZeroDuration();
  AddNodesOption(*command, asked->nodes);
  command->add_option("of", asked->of, "node or zone")
      ->required()
      ->check(CLI::IsMember({"node", "zone"}));
  command->add_option("name", asked->target.name, "Which one")->required();
  AddDurationOption(*command, "--wait", asked->limit,
                    "Ask again until it is safe, for this long at most");
  command->add_flag("--json", asked->json, "For programs");
  command->footer(
      "Exit codes: 0 safe, 1 not safe, 2 no such node or zone, 3 no node answers.\n"
      "Example: forebay admin check node b1 --wait 5m");
  command->callback([asked, &exit_code] {
    asked->target.of =
        asked->of == "zone" ? MaintenanceRecord::Of::kZone : MaintenanceRecord::Of::kNode;
    exit_code = Check(*asked);
  });
}

std::shared_ptr<Asked> StartLeaving(CLI::App& command, int& exit_code) {
  auto asked = std::make_shared<Asked>();
  AddNodesOption(command, asked->nodes);
  AddDurationOption(command, "--limit", asked->limit, "How long to watch; it goes on without");
  command.add_flag("--cancel", asked->cancel, "Call it off: it takes part again");
  command.callback([asked, &exit_code] { exit_code = Leave(*asked); });
  return asked;
}

constexpr char kExitCodes[] =
    "Exit codes: 0 nothing is left there, 1 it is still going on, or refused, 2 no such thing, 3 "
    "no "
    "node answers.\nExample: ";

void AddEvacuateZone(CLI::App& admin, int& exit_code) {
  CLI::App* command = admin.add_subcommand(
      "evacuate-zone", "Move all partitions and copies out of a zone, so that it can be stopped");
  const auto asked = StartLeaving(*command, exit_code);
  asked->target.of = MaintenanceRecord::Of::kZone;
  command->add_option("zone", asked->target.name, "The zone")->required();
  command->footer(std::string(kExitCodes) + "forebay admin evacuate-zone b");
}

void AddReplaceNode(CLI::App& admin, int& exit_code) {
  CLI::App* command = admin.add_subcommand(
      "replace-node", "Move all partitions and copies from a node, up or lost, to others");
  const auto asked = StartLeaving(*command, exit_code);
  command->add_option("node", asked->target.name, "The node that leaves")->required();
  command->add_option("--with", asked->with, "The node that gets its copies (default: any)");
  command->footer(std::string(kExitCodes) + "forebay admin replace-node b1 --with b2");
}

}  // namespace

void AddMaintenanceCommands(CLI::App& admin, int& exit_code) {
  AddCheck(admin, exit_code);
  AddEvacuateZone(admin, exit_code);
  AddReplaceNode(admin, exit_code);
}

}  // namespace forebay
