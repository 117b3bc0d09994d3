// forebay admin take-over|move|drain-node|set-aside|create-stream
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "client/remote_cluster.h"
#include "drain/dead_letter.h"
#include "node/exit_code.h"

namespace forebay {
namespace {

constexpr char kExitCodes[] = "Exit codes: 0 done, 1 refused, 2 no such thing, 3 no node answers.";

struct Asked {
  RemoteNodes nodes;
  absl::Duration limit = absl::Seconds(15);
  std::string stream;
  uint32_t partition = 0;
  uint64_t offset = 0;
  std::string node;
  StreamOptions options;
  std::string codec = "zstd";
  std::string on_zone_shortfall = "reject";

  PartitionId partition_id() const { return {.stream = StreamId(stream), .index = partition}; }
};

using AskedPtr = std::shared_ptr<Asked>;

AskedPtr Start(CLI::App& command, const std::string& example) {
  auto asked = std::make_shared<Asked>();
  AddNodesOption(command, asked->nodes);
  AddDurationOption(command, "--limit", asked->limit, "How long to wait for it");
  command.footer(std::string(kExitCodes) + "\nExample: " + example);
  return asked;
}

void AddPartition(CLI::App& command, Asked& asked) {
  command.add_option("stream", asked.stream, "The stream")->required();
  command.add_option("partition", asked.partition, "The partition")->required();
}

void Finish(const absl::Status& status, const std::string& done, int& exit_code) {
  if (status.ok()) {
    std::cout << done << "\n";
  } else {
    exit_code = Fail(status);
  }
}

void AddTakeOver(CLI::App& admin, int& exit_code) {
  CLI::App* command = admin.add_subcommand(
      "take-over", "Let a node take a partition over whose owner does not answer");
  const AskedPtr asked = Start(*command, "forebay admin take-over web 3");
  AddPartition(*command, *asked);
  command->add_option("--to", asked->node, "The node that takes over (default: any that answers)");
  command->callback([asked, &exit_code] {
    RemoteCluster cluster(asked->nodes);
    Finish(cluster.TakeOver(asked->partition_id(), NodeId(asked->node), asked->limit),
           "done; 'forebay status' shows the owner", exit_code);
  });
}

void AddMove(CLI::App& admin, int& exit_code) {
  CLI::App* command =
      admin.add_subcommand("move", "Let a partition's owner hand it over to another node");
  const AskedPtr asked = Start(*command, "forebay admin move web 3 --to b1");
  AddPartition(*command, *asked);
  command->add_option("--to", asked->node, "The new owner (default: the best replica)");
  command->callback([asked, &exit_code] {
    RemoteCluster cluster(asked->nodes);
    Finish(cluster.Move(asked->partition_id(), NodeId(asked->node), asked->limit),
           asked->node.empty() ? "moved" : asked->node + " owns it", exit_code);
  });
}

void AddDrainNode(CLI::App& admin, int& exit_code) {
  CLI::App* command = admin.add_subcommand(
      "drain-node", "Let a node hand over all it owns and take over nothing until it restarts");
  const AskedPtr asked = Start(*command, "forebay admin drain-node b1");
  command->add_option("node", asked->node, "The node")->required();
  command->callback([asked, &exit_code] {
    RemoteCluster cluster(asked->nodes);
    Finish(cluster.DrainNode(NodeId(asked->node), asked->limit),
           asked->node + " owns nothing any more", exit_code);
  });
}

void AddSetAside(CLI::App& admin, int& exit_code) {
  CLI::App* command = admin.add_subcommand(
      "set-aside", "Let every sink and tail pass over one block that cannot be decoded");
  const AskedPtr asked = Start(*command, "forebay admin set-aside web 3 4711");
  AddPartition(*command, *asked);
  command
      ->add_option("offset", asked->offset, "An offset in the block, as 'forebay status' names it")
      ->required();
  command->callback([asked, &exit_code] {
    RemoteCluster cluster(asked->nodes);
    const absl::StatusOr<SetAsideBlock> block =
        cluster.SetAside(asked->partition_id(), Offset(asked->offset), asked->limit);
    std::string done;
    if (block.ok()) {
      done = absl::StrCat("offsets ", block->first.value(), " to ", block->end.value() - 1, " of ",
                          asked->partition_id().ToString(),
                          " are set aside: every sink and tail passes over them, and stream ",
                          DeadLetterStream(StreamId(asked->stream)).value(), " keeps their bytes");
    }
    Finish(block.status(), done, exit_code);
  });
}

void AddCreateStream(CLI::App& admin, int& exit_code) {
  CLI::App* command = admin.add_subcommand("create-stream", "Create a stream");
  const AskedPtr asked = Start(*command, "forebay admin create-stream web --partitions 12");
  StreamOptions& options = asked->options;
  command->add_option("stream", asked->stream, "Its name")->required();
  command->add_option("--partitions", options.partitions, "Fixed once it exists")
      ->capture_default_str();
  command->add_option("--copies", options.copies, "Replicas of each block")->capture_default_str();
  command->add_option("--ack-copies", options.ack_copies, "Durable copies before it is said")
      ->capture_default_str();
  command->add_option("--ack-zones", options.ack_zones, "Distinct zones among them")
      ->capture_default_str();
  command->add_option("--codec", asked->codec, "Compression")
      ->check(CLI::IsMember({"none", "lz4", "zstd"}))
      ->capture_default_str();
  command->add_option("--on-zone-shortfall", asked->on_zone_shortfall, "With too few zones")
      ->check(CLI::IsMember({"reject", "accept_degraded"}))
      ->capture_default_str();
  command->callback([asked, &exit_code] {
    asked->options.name = StreamId(asked->stream);
    asked->options.codec = asked->codec == "none"  ? Codec::kNone
                           : asked->codec == "lz4" ? Codec::kLz4
                                                   : Codec::kZstd;
    asked->options.on_zone_shortfall = asked->on_zone_shortfall == "reject"
                                           ? ZoneShortfall::kReject
                                           : ZoneShortfall::kAcceptDegraded;
    absl::Status status = asked->options.Validate();
    if (status.ok()) {
      RemoteCluster cluster(asked->nodes);
      status = cluster.CreateStream(asked->options, asked->limit);
    }
    Finish(status, "stream " + asked->stream + " is there", exit_code);
  });
}

}  // namespace

void AddAdminCommand(CLI::App& app, int& exit_code) {
  CLI::App* admin =
      app.add_subcommand("admin", "Move work between nodes, empty them, create streams");
  admin->require_subcommand(1);
  AddTakeOver(*admin, exit_code);
  AddMove(*admin, exit_code);
  AddDrainNode(*admin, exit_code);
  AddSetAside(*admin, exit_code);
  AddCreateStream(*admin, exit_code);
  AddMaintenanceCommands(*admin, exit_code);
}

}  // namespace forebay
