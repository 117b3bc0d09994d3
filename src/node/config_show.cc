// DefaultConfig: the commented file that `forebay config show --defaults` prints.
#include "absl/strings/str_cat.h"
#include "node/config.h"
#include "node/config_table.h"

namespace forebay {
namespace {

std::string Scalar(const std::string& value) { return value.empty() ? "\"\"" : value; }

// `first` and `next` are what stands before the first and the other settings' names.
template <typename S>
void Show(const std::vector<Setting<S>>& settings, const S& defaults,
          const std::pair<std::string, std::string>& indent, std::string& out) {
  bool first = true;
  for (const Setting<S>& setting : settings) {
    absl::StrAppend(&out, indent.second, "# ", setting.meaning);
    if (!setting.limits.empty()) absl::StrAppend(&out, " (", setting.limits, ")");
    if (!setting.example.empty()) absl::StrAppend(&out, " Required.");
    absl::StrAppend(&out, "\n", first ? indent.first : indent.second, setting.name, ": ",
                    Scalar(setting.example.empty() ? setting.show(defaults) : setting.example),
                    "\n");
    first = false;
  }
}

template <typename S>
void Section(const std::string& head, const std::vector<Setting<S>>& settings, bool list,
             std::string& out) {
  absl::StrAppend(&out, "\n", head);
  const std::string first = list ? "  - " : "  ";
  Show(settings, S{}, {first, list ? "    " : "  "}, out);
}

}  // namespace

std::string DefaultConfig() {
  const ConfigTable table = MakeConfigTable();
  std::string out =
      "# Settings of a Forebay node and their defaults. A required setting has no default and\n"
      "# shows an example. Durations: 2ms, 10s, 5m, 24h, inf. Sizes: 4096, 64KiB, 64MiB, 1GiB.\n\n";
  Show(table.root, NodeConfig{}, {"", ""}, out);
  absl::StrAppend(&out,
                  "# For tests of outages: dial a peer's address through another one, as in\n"
                  "# 'b1: 127.0.0.1:9000'.\ndial_instead: {}\n");
  Section("# Created when they do not exist; may be empty.\nstreams:\n", table.streams, true, out);
  Section("# Where the events go; the same on every node. May be empty.\nsinks:\n", table.sinks,
          true, out);
  Section("# Mutual TLS; all three or none. Changed files are read again by themselves.\ntls:\n",
          table.tls, false, out);
  absl::StrAppend(&out,
                  "\n# Who may do what; none: everyone everything. Rules need tls.\naccess: []\n");
  Show(table.access, AccessRule{}, {"#  - ", "#    "}, out);
  Section("# How events that start at this node are packed into blocks.\nbatch:\n", table.batch,
          false, out);
  Section("# When an owner opens a new segment.\nsegment:\n", table.segment, false, out);
  Section("# When a node counts as gone.\nliveness:\n", table.liveness, false, out);
  Section("# When a node leaves its partitions to others because of its disk.\ndisk:\n", table.disk,
          false, out);
  Section("# What callers may cost this node.\nlimits:\n", table.limits, false, out);
  Section("# To stderr.\nlog:\n", table.log, false, out);
  Section("# Numbers for Prometheus.\nmetrics:\n", table.metrics, false, out);
  return out;
}

}  // namespace forebay
