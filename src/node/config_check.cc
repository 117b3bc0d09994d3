#include "node/config_check.h"

#include <cstdint>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "node/config_setting.h"

namespace forebay {
namespace {

class Checker {
 public:
  Checker(const NodeConfig& config, const ConfigPositions& positions)
      : config_(config), positions_(positions) {}

  std::vector<ConfigProblem> Run() {
    Addresses();
    Security();
    Metadata();
    Streams();
    Sinks();
    Liveness();
    return std::move(problems_);
  }

 private:
  // At the setting, or at the nearest thing around it that is in the file.
  void Problem(const std::string& path, const std::string& message) {
    std::string at = path;
    auto found = positions_.find(at);
    while (found == positions_.end() && !at.empty()) {
      const size_t cut = at.find_last_of(".[");
      at = cut == std::string::npos ? "" : at.substr(0, cut);
      found = positions_.find(at);
    }
    const auto [line, column] = found == positions_.end() ? std::pair(1, 1) : found->second;
    problems_.push_back({line, column, absl::StrCat(path, ": ", message)});
  }

  void Address(const std::string& path, const std::string& address) {
    if (address.empty()) return;
    const absl::Status status = CheckAddress(address);
    if (!status.ok()) Problem(path, std::string(status.message()));
  }

  void Addresses() {
    Address("listen", config_.buffer.listen);
    Address("advertise", config_.buffer.advertise);
    Address("metrics.listen", config_.metrics.listen);
    for (const auto& [node, address] : config_.buffer.dial_instead) {
      Address(absl::StrCat("dial_instead.", node.value()), address);
    }
  }

  void Security() {
    const absl::Status tls = config_.buffer.tls.Validate(/*certificate_required=*/true);
    if (!tls.ok()) Problem("tls", std::string(tls.message()));
    for (size_t i = 0; i < config_.buffer.access.size(); ++i) {
      const absl::Status rule = config_.buffer.access[i].Validate();
      if (!rule.ok()) Problem(absl::StrCat("access[", i, "]"), std::string(rule.message()));
    }
    const absl::Status listen = config_.buffer.ValidateListen();
    if (!listen.ok()) Problem("listen", std::string(listen.message()));
  }

  // True when the text starts with one of the schemes; otherwise says so.
  bool Scheme(const std::string& path, const std::string& text,
              const std::vector<std::string>& schemes) {
    const size_t colon = text.find(':');
    const std::string scheme = text.substr(0, colon);
    for (const std::string& known : schemes) {
      if (scheme == known && colon != std::string::npos && colon + 1 < text.size()) return true;
    }
    const std::string nearest = Nearest(scheme, schemes);
    // The rest may hold a password.
    const bool has_secret = absl::StrContains(text, '@');
    Problem(path, absl::StrCat(
                      "'", has_secret ? text.substr(0, text.find_first_of(":@")) + ":..." : text,
                      "' must start with ", absl::StrJoin(schemes, ": or "), ": and name a place",
                      nearest.empty() || nearest == scheme
                          ? ""
                          : absl::StrCat("; did you mean '", nearest, ":'?")));
    return false;
  }

  void Metadata() {
    const std::string& metadata = config_.buffer.metadata;
    if (metadata.empty() || !Scheme("metadata", metadata, {"sqlite", "etcd"})) return;
    if (metadata.rfind("etcd:", 0) != 0) return;
    for (const std::string& address :
         std::vector<std::string>(absl::StrSplit(metadata.substr(5), ','))) {
      Address("metadata", address);
    }
  }

  void Streams() {
    std::set<StreamId> names;
    for (size_t i = 0; i < config_.buffer.streams.size(); ++i) {
      const StreamOptions& stream = config_.buffer.streams[i];
      const std::string path = absl::StrCat("streams[", i, "].");
      if (!stream.name.empty() && !names.insert(stream.name).second) {
        Problem(path + "name", absl::StrCat("stream '", stream.name.value(), "' is there twice"));
      }
      if (stream.ack_copies > stream.copies) {
        Problem(path + "ack_copies",
                absl::StrCat(stream.ack_copies, " is more than copies (", stream.copies, ")"));
      }
      if (stream.ack_zones > stream.ack_copies) {
        Problem(path + "ack_zones", absl::StrCat(stream.ack_zones, " is more than ack_copies (",
                                                 stream.ack_copies, ")"));
      }
    }
  }

  void Sinks() {
    std::vector<std::string> streams;
    for (const StreamOptions& stream : config_.buffer.streams) {
      streams.push_back(stream.name.value());
      streams.push_back(stream.name.value() + ".dead-letter");
    }
    std::set<SinkId> names;
    for (size_t i = 0; i < config_.sinks.size(); ++i) {
      const SinkConfig& sink = config_.sinks[i];
      const std::string path = absl::StrCat("sinks[", i, "].");
      if (!sink.binding.name.empty() && !names.insert(sink.binding.name).second) {
        Problem(path + "name",
                absl::StrCat("sink '", sink.binding.name.value(), "' is there twice"));
      }
      if (!sink.url.empty()) {
        Scheme(path + "url", sink.url, {"sqlite", "postgres", "postgresql", "files"});
      }
      const std::string& stream = sink.binding.stream.value();
      const bool known = std::find(streams.begin(), streams.end(), stream) != streams.end();
      if (stream.empty() || known) continue;
      const std::string nearest = Nearest(stream, streams);
      Problem(path + "stream",
              absl::StrCat("no stream '", stream, "' in streams",
                           nearest.empty() ? "" : absl::StrCat("; did you mean '", nearest, "'?")));
    }
  }

  void Liveness() {
    const LivenessOptions& liveness = config_.buffer.liveness;
    if (liveness.suspect_after < 3 * liveness.heartbeat_every) {
      Problem("liveness.suspect_after",
              absl::StrCat(DurationText(liveness.suspect_after),
                           " must be at least 3 times heartbeat_every (",
                           DurationText(liveness.heartbeat_every),
                           "), or one lost heartbeat makes a node look gone"));
    }
  }

  const NodeConfig& config_;
  const ConfigPositions& positions_;
  std::vector<ConfigProblem> problems_;
};

}  // namespace

absl::Status CheckName(const std::string& name) {
  bool ok = !name.empty() && name.size() <= 64;
  for (const char c : name) {
    ok = ok &&
         ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.');
  }
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("'", name, "' must be ", kNameLimits));
}

absl::Status CheckAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", address, "' must be host:port, as in 127.0.0.1:7400"));
  }
  return absl::OkStatus();
}

std::vector<ConfigProblem> CheckConfig(const NodeConfig& config, const ConfigPositions& positions) {
  return Checker(config, positions).Run();
}

}  // namespace forebay
