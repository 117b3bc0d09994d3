// scripts/bench scaling: what becomes of a fleet of a thousand nodes (docs/SCALING.md).
#include <CLI/CLI.hpp>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "scaling/parts.h"

int main(int argc, char** argv) {
  using forebay::scaling::Scale;
  Scale scale;
  std::vector<std::string> parts;
  std::string json_file;
  const std::map<std::string, std::function<nlohmann::json()>> all = {
      {"placement", [&] { return forebay::scaling::PlacementPart(scale); }},
      {"storm", [&] { return forebay::scaling::StormPart(scale); }},
      {"node", [&] { return forebay::scaling::NodePart(scale); }},
      {"metadata", [] { return forebay::scaling::MetadataPart(); }},
      {"heartbeats", [] { return forebay::scaling::HeartbeatPart(); }}};
  CLI::App app{"A large fleet: placement, takeover storm, and what it costs."};
  app.add_option("parts", parts, "placement, storm, node, metadata, heartbeats; none: all")
      ->check(CLI::IsMember(all));
  app.add_option("--nodes", scale.nodes, "nodes of the fleet")->capture_default_str();
  app.add_option("--partitions", scale.partitions, "partitions of the fleet")
      ->capture_default_str();
  app.add_option("--seed", scale.seed, "names, and so the placement")->capture_default_str();
  app.add_option("--json", json_file, "also write the results there");
  CLI11_PARSE(app, argc, argv);
  if (parts.empty()) parts = {"placement", "storm", "node", "metadata", "heartbeats"};
  nlohmann::json results = {
      {"nodes", scale.nodes}, {"partitions", scale.partitions}, {"seed", scale.seed}};
  for (const std::string& part : parts) results[part] = all.at(part)();
  if (json_file.empty()) return 0;
  std::ofstream file(json_file);
  file << results.dump(2) << "\n";
  return file.good() ? 0 : 1;
}
