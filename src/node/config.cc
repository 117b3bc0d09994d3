#include "node/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "node/config_check.h"
#include "node/config_table.h"

namespace forebay {
namespace {

// Reads one part of the file that holds other parts ("batch", "streams", ...).
using PartReader = std::function<void(const YAML::Node&, const std::string& path)>;
using Parts = std::map<std::string, PartReader>;

class Parser {
 public:
  ParsedConfig Run(const std::string& yaml) {
    try {
      const YAML::Node root = YAML::Load(yaml);
      Section(root, "", table_.root, config_,
              {{"dial_instead", [&](const YAML::Node& n, const std::string& p) { Dial(n, p); }},
               {"streams", List(table_.streams, config_.buffer.streams)},
               {"sinks", List(table_.sinks, config_.sinks)},
               {"tls", Part(table_.tls, config_.buffer.tls)},
               {"access", List(table_.access, config_.buffer.access)},
               {"batch", Part(table_.batch, config_.buffer.batch)},
               {"segment", Part(table_.segment, config_.buffer.segment)},
               {"liveness", Part(table_.liveness, config_.buffer.liveness)},
               {"disk", Part(table_.disk, config_.buffer.disk)},
               {"limits", Part(table_.limits, config_.buffer.limits)},
               {"log", Part(table_.log, config_.log)},
               {"metrics", Part(table_.metrics, config_.metrics)}});
      for (ConfigProblem& problem : CheckConfig(config_, positions_)) {
        problems_.push_back(std::move(problem));
      }
    } catch (const YAML::Exception& error) {
      problems_.push_back({error.mark.line + 1, error.mark.column + 1,
                           absl::StrCat("not valid YAML: ", error.msg)});
    }
    std::stable_sort(problems_.begin(), problems_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return {std::move(config_), std::move(problems_)};
  }

 private:
  void Problem(const YAML::Node& at, const std::string& path, const std::string& message) {
    problems_.push_back({at.Mark().line + 1, at.Mark().column + 1,
                         path.empty() ? message : absl::StrCat(path, ": ", message)});
  }

  void Remember(const std::string& path, const YAML::Node& at) {
    positions_[path] = {at.Mark().line + 1, at.Mark().column + 1};
  }

  template <typename S>
  PartReader Part(const std::vector<Setting<S>>& settings, S& into) {
    return [this, &settings, &into](const YAML::Node& node, const std::string& path) {
      Section(node, path, settings, into, {});
    };
  }

  template <typename S>
  PartReader List(const std::vector<Setting<S>>& settings, std::vector<S>& into) {
    return [this, &settings, &into](const YAML::Node& node, const std::string& path) {
      if (node.IsNull()) return;
      if (!node.IsSequence()) {
        return Problem(node, path, "must be a list; start each element with '- name: ...'");
      }
      for (size_t i = 0; i < node.size(); ++i) {
        into.emplace_back();
        Section(node[i], absl::StrCat(path, "[", i, "]"), settings, into.back(), {});
      }
    };
  }

  void Dial(const YAML::Node& node, const std::string& path) {
    if (node.IsNull()) return;
    if (!node.IsMap()) return Problem(node, path, "must map node names to host:port");
    for (const auto& entry : node) {
      const std::string name = entry.first.Scalar();
      Remember(absl::StrCat(path, ".", name), entry.first);
      const absl::Status status = CheckName(name);
      if (!status.ok()) Problem(entry.first, path, std::string(status.message()));
      config_.buffer.dial_instead[NodeId(name)] = entry.second.Scalar();
    }
  }

  template <typename S>
  void Section(const YAML::Node& node, const std::string& path,
               const std::vector<Setting<S>>& settings, S& into, const Parts& parts) {
    Remember(path, node);
    if (!node.IsMap() && !node.IsNull()) {
      return Problem(node, path, "must hold settings, one 'name: value' a line");
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
      const std::string full = path.empty() ? name : absl::StrCat(path, ".", name);
      if (!seen.insert(name).second) {
        Problem(entry.first, full, "is there twice");
        continue;
      }
      Remember(full, entry.first);
      const auto part = parts.find(name);
      if (part != parts.end()) {
        part->second(entry.second, full);
        continue;
      }
      const auto setting = std::find_if(settings.begin(), settings.end(),
                                        [&](const auto& known) { return known.name == name; });
      if (setting == settings.end()) {
        Unknown(entry.first, full, settings, parts);
      } else {
        Scalar(entry.second, full, *setting, into);
      }
    }
    for (const Setting<S>& setting : settings) {
      if (!setting.example.empty() && !seen.contains(setting.name)) {
        Problem(
            node, path.empty() ? setting.name : absl::StrCat(path, ".", setting.name),
            absl::StrCat("is missing; for example '", setting.name, ": ", setting.example, "'"));
      }
    }
  }

  template <typename S>
  void Scalar(const YAML::Node& node, const std::string& path, const Setting<S>& setting, S& into) {
    if (!node.IsScalar() && !node.IsNull()) return Problem(node, path, "must be a single value");
    const std::string text = node.IsNull() ? "" : node.Scalar();
    absl::Status status = setting.set(into, text);
    if (status.ok() && text.empty() && !setting.example.empty()) {
      status = absl::InvalidArgumentError(
          absl::StrCat("is empty; for example '", setting.name, ": ", setting.example, "'"));
    }
    if (!status.ok()) Problem(node, path, std::string(status.message()));
  }

  template <typename S>
  void Unknown(const YAML::Node& key, const std::string& path,
               const std::vector<Setting<S>>& settings, const Parts& parts) {
    std::vector<std::string> names;
    for (const Setting<S>& setting : settings) names.push_back(setting.name);
    for (const auto& [name, reader] : parts) names.push_back(name);
    const std::string name = key.IsScalar() ? key.Scalar() : "";
    const std::string nearest = Nearest(name, names);
    if (!nearest.empty()) {
      return Problem(key, path, absl::StrCat("no such setting; did you mean '", nearest, "'?"));
    }
    const std::string home = HomeOf(name);
    Problem(key, path,
            home.empty() ? "no such setting; see 'forebay config show --defaults'"
                         : absl::StrCat("no such setting here; it belongs in '", home, "'"));
  }

  // The section that has a setting of this name.
  std::string HomeOf(const std::string& name) const {
    const auto has = [&](const auto& settings) {
      return std::any_of(settings.begin(), settings.end(),
                         [&](const auto& setting) { return setting.name == name; });
    };
    if (has(table_.root)) return "the top level";
    if (has(table_.tls)) return "tls";
    if (has(table_.access)) return "access";
    if (has(table_.batch)) return "batch";
    if (has(table_.segment)) return "segment";
    if (has(table_.liveness)) return "liveness";
    if (has(table_.disk)) return "disk";
    if (has(table_.limits)) return "limits";
    if (has(table_.log)) return "log";
    if (has(table_.streams)) return "streams";
    if (has(table_.sinks)) return "sinks";
    return "";
  }

  const ConfigTable table_ = MakeConfigTable();
  NodeConfig config_;
  std::vector<ConfigProblem> problems_;
  ConfigPositions positions_;
};

}  // namespace

ParsedConfig ParseConfig(const std::string& yaml) { return Parser().Run(yaml); }

absl::StatusOr<NodeConfig> LoadConfig(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) {
    return absl::NotFoundError(absl::StrCat("cannot read the configuration file '", path,
                                            "'; 'forebay config show --defaults' prints one"));
  }
  ParsedConfig parsed = ParseConfig(text.str());
  if (parsed.problems.empty()) {
    // The file's own checks cover these; a rule that only the library knows still counts.
    const absl::Status status = parsed.config.buffer.Validate();
    if (!status.ok()) parsed.problems.push_back({1, 1, std::string(status.message())});
  }
  if (parsed.problems.empty()) return std::move(parsed.config);
  std::string message;
  for (const ConfigProblem& problem : parsed.problems) {
    absl::StrAppend(&message, message.empty() ? "" : "\n", path, ":", problem.line, ":",
                    problem.column, ": ", problem.message);
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace forebay
