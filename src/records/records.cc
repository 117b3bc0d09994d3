#include "records/records.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status.h"

namespace forebay {
namespace {

using nlohmann::json;

// Raised when old software could misread a record, not when a field is added.
constexpr uint64_t kFormat = 1;
constexpr uint64_t kPartitionsMax = 65536;  // options.h
constexpr uint64_t kLevelMax = 1000000;
constexpr int kCopiesMax = 5;  // options.h

// Reads the fields of one JSON object. Keeps the first error; what is read after it is meaningless.
class Fields {
 public:
  Fields(const json& object, std::string what) : object_(object), what_(std::move(what)) {
    if (!object_.is_object()) Fail("is not a JSON object");
  }

  std::string Text(const char* name) {
    const json* field = Find(name);
    if (field == nullptr) return "";
    if (!field->is_string() || field->get_ref<const std::string&>().empty()) {
      return Fail(absl::StrCat("field \"", name, "\" must be a text that is not empty")), "";
    }
    return field->get<std::string>();
  }

  uint64_t Number(const char* name, uint64_t least, uint64_t most) {
    const json* field = Find(name);
    if (field == nullptr) return 0;
    if (!field->is_number_unsigned() || field->get<uint64_t>() < least ||
        field->get<uint64_t>() > most) {
      Fail(absl::StrCat("field \"", name, "\" is ", field->dump(),
                        ", but must be a whole number from ", least, " to ", most));
      return 0;
    }
    return field->get<uint64_t>();
  }

  // Random 64-bit numbers are 16 hex digits in quotes: many JSON readers round large numbers.
  uint64_t HexNumber(const char* name) {
    const std::string text = Text(name);
    uint64_t number = 0;
    if (status_.ok() && (text.size() != 16 || !absl::SimpleHexAtoi(text, &number))) {
      Fail(absl::StrCat("field \"", name, "\" is \"", text, "\", but must be 16 hex digits"));
    }
    return number;
  }

  bool Flag(const char* name) {
    const json* field = Find(name);
    if (field == nullptr) return false;
    if (!field->is_boolean()) {
      return Fail(absl::StrCat("field \"", name, "\" must be true or false")), false;
    }
    return field->get<bool>();
  }

  const json& Array(const char* name) {
    const json* field = Find(name);
    if (field == nullptr) return none_;
    if (!field->is_array() || field->empty()) {
      Fail(absl::StrCat("field \"", name, "\" must be an array that is not empty"));
      return none_;
    }
    return *field;
  }

  bool Has(const char* name) const { return object_.is_object() && object_.contains(name); }

  void Fail(const std::string& why) {
    if (status_.ok()) status_ = absl::DataLossError(absl::StrCat(what_, " ", why));
  }
  const absl::Status& status() const { return status_; }

 private:
  const json* Find(const char* name) {
    if (!status_.ok()) return nullptr;
    const auto at = object_.find(name);
    if (at != object_.end()) return &*at;
    Fail(absl::StrCat("has no field \"", name, "\""));
    return nullptr;
  }

  const json& object_;
  const std::string what_;
  const json none_ = json::array();
  absl::Status status_;
};

// The text as JSON of a format we know.
absl::StatusOr<json> Parse(const std::string& value, const std::string& what) {
  json parsed = json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return absl::DataLossError(absl::StrCat(what, " is not JSON (", value.size(), " bytes)"));
  }
  Fields fields(parsed, what);
  const uint64_t format = fields.Number("format", 1, UINT64_MAX);
  if (!fields.status().ok()) return fields.status();
  if (format > kFormat) {
    return absl::DataLossError(absl::StrCat(
        what, " has format ", format, ", but this version of Forebay knows formats up to ", kFormat,
        ": it was written by a newer version; upgrade this node"));
  }
  return parsed;
}

std::string Hex(uint64_t number) { return absl::StrFormat("%016x", number); }

const char* CodecName(Codec codec) {
  switch (codec) {
    case Codec::kNone:
      return "none";
    case Codec::kLz4:
      return "lz4";
    case Codec::kZstd:
      return "zstd";
  }
  FOREBAY_CHECK(false, "no such codec");
}

const char* ShortfallName(ZoneShortfall shortfall) {
  switch (shortfall) {
    case ZoneShortfall::kReject:
      return "reject";
    case ZoneShortfall::kAcceptDegraded:
      return "accept_degraded";
  }
  FOREBAY_CHECK(false, "no such zone policy");
}

const char* KindName(MaintenanceRecord::Of of) {
  return of == MaintenanceRecord::Of::kNode ? "node" : "zone";
}

json SegmentJson(const Segment& segment) {
  json replicas = json::array();
  for (const Replica& replica : segment.replicas) {
    replicas.push_back({{"node", replica.node.value()},
                        {"incarnation", Hex(replica.incarnation.value())},
                        {"zone", replica.zone.value()}});
  }
  json out = {
      {"epoch", segment.epoch.value()},        {"base", segment.base.value()},
      {"ack_copies", segment.rule.ack_copies}, {"ack_zones", segment.rule.ack_zones},
      {"owner", segment.owner.value()},        {"owner_life", Hex(segment.owner_life.value())},
      {"replicas", std::move(replicas)}};
  if (segment.end.has_value()) out["end"] = segment.end->value();
  return out;
}

absl::StatusOr<Segment> SegmentOf(const json& value, const std::string& what) {
  Fields fields(value, what);
  Segment segment;
  segment.epoch = Epoch(fields.Number("epoch", 1, UINT64_MAX));
  segment.base = Offset(fields.Number("base", 0, UINT64_MAX));
  if (fields.Has("end")) segment.end = Offset(fields.Number("end", 0, UINT64_MAX));
  segment.rule.ack_copies = static_cast<int>(fields.Number("ack_copies", 1, kCopiesMax));
  segment.rule.ack_zones = static_cast<int>(fields.Number("ack_zones", 1, kCopiesMax));
  segment.owner = NodeId(fields.Text("owner"));
  segment.owner_life = ProcessLife(fields.HexNumber("owner_life"));
  const json& replicas = fields.Array("replicas");
  segment.replicas.reserve(replicas.size());
  for (const json& entry : replicas) {
    Fields replica(entry, absl::StrCat(what, ", replica ", segment.replicas.size() + 1));
    segment.replicas.push_back({NodeId(replica.Text("node")),
                                Incarnation(replica.HexNumber("incarnation")),
                                ZoneId(replica.Text("zone"))});
    FOREBAY_RETURN_IF_ERROR(replica.status());
  }
  FOREBAY_RETURN_IF_ERROR(fields.status());
  return segment;
}

absl::Status ValidateSegment(const Segment& segment, const std::string& what) {
  if (segment.end.has_value() && *segment.end < segment.base) {
    return absl::DataLossError(absl::StrCat(what, " ends at ", segment.end->value(),
                                            ", before its base ", segment.base.value()));
  }
  if (segment.rule.ack_zones > segment.rule.ack_copies) {
    return absl::DataLossError(absl::StrCat(what, " asks for ", segment.rule.ack_zones,
                                            " zones in ", segment.rule.ack_copies, " copies"));
  }
  if (segment.replicas.empty()) return absl::DataLossError(what + " has no replica");
  std::set<NodeId> nodes;
  for (const Replica& replica : segment.replicas) {
    if (!nodes.insert(replica.node).second) {
      return absl::DataLossError(
          absl::StrCat(what, " names node '", replica.node.value(), "' twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateChain(const Chain& chain) {
  if (chain.segments.empty()) return absl::DataLossError("chain record has no segment");
  for (size_t i = 0; i < chain.segments.size(); i++) {
    const Segment& segment = chain.segments[i];
    const std::string what = absl::StrCat("chain record, segment of epoch ", segment.epoch.value());
    FOREBAY_RETURN_IF_ERROR(ValidateSegment(segment, what));
    const bool last = i + 1 == chain.segments.size();
    if (last != !segment.end.has_value()) {
      return absl::DataLossError(what + (last ? " is the last and must be open, but has an end"
                                              : " is not the last and must have an end"));
    }
    if (i == 0) continue;
    const Segment& before = chain.segments[i - 1];
    if (segment.epoch <= before.epoch) {
      return absl::DataLossError(
          absl::StrCat(what, " follows epoch ", before.epoch.value(), ": epochs must rise"));
    }
    if (segment.base != *before.end) {
      return absl::DataLossError(absl::StrCat(what, " begins at ", segment.base.value(),
                                              ", but the one before it ends at ",
                                              before.end->value()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

const Segment* FindSegment(const Chain& chain, Epoch epoch) {
  for (const Segment& segment : chain.segments) {
    if (segment.epoch == epoch) return &segment;
  }
  return nullptr;
}

std::string NodeKey(const NodeId& node) { return kNodePrefix + node.value(); }
std::string StreamKey(const StreamId& stream) { return kStreamPrefix + stream.value(); }
std::string ChainKey(const PartitionId& partition) { return kChainPrefix + partition.ToString(); }
std::string MaintenanceKey(const MaintenanceRecord& record) {
  return absl::StrCat(kMaintenancePrefix, KindName(record.of), "/", record.name);
}
std::string SetAsideKey(const PartitionId& partition) {
  return kSetAsidePrefix + partition.ToString();
}

absl::StatusOr<PartitionId> PartitionOfChainKey(const std::string& key) {
  const std::string_view prefix = kChainPrefix;
  const size_t slash = key.rfind('/');
  PartitionId partition;
  if (key.starts_with(prefix) && slash > prefix.size() && slash != std::string::npos &&
      absl::SimpleAtoi(key.substr(slash + 1), &partition.index) &&
      partition.index < kPartitionsMax) {
    partition.stream = StreamId(key.substr(prefix.size(), slash - prefix.size()));
    // Only one spelling of a partition is a key of it: not "chains/web/+3" or "chains/web/03".
    if (ChainKey(partition) == key) return partition;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", key, "' is not the key of a chain (\"chains/STREAM/PARTITION\")"));
}

std::string Encode(const NodeRecord& record) {
  json out = {{"format", kFormat},
              {"id", record.id.value()},
              {"zone", record.zone.value()},
              {"address", record.address},
              {"incarnation", Hex(record.incarnation.value())},
              {"life", Hex(record.life.value())},
              {"draining", record.draining}};
  if (record.disk_full) out["disk_full"] = true;
  if (record.disk_slow) out["disk_slow"] = true;
  if (record.damage != 0) out["damage"] = Hex(record.damage);
  if (record.level != 0) out["level"] = record.level;
  return out.dump();
}

std::string Encode(const StreamOptions& record) {
  return json{{"format", kFormat},
              {"name", record.name.value()},
              {"partitions", record.partitions},
              {"copies", record.copies},
              {"ack_copies", record.ack_copies},
              {"ack_zones", record.ack_zones},
              {"codec", CodecName(record.codec)},
              {"on_zone_shortfall", ShortfallName(record.on_zone_shortfall)}}
      .dump();
}

std::string Encode(const Chain& record) {
  const absl::Status valid = ValidateChain(record);
  FOREBAY_CHECK(valid.ok(), valid.ToString());
  json segments = json::array();
  for (const Segment& segment : record.segments) segments.push_back(SegmentJson(segment));
  return json{{"format", kFormat}, {"segments", std::move(segments)}}.dump();
}

std::string Encode(const MaintenanceRecord& record) {
  json out = {{"format", kFormat},
              {"of", KindName(record.of)},
              {"name", record.name},
              {"leaving", record.leaving}};
  if (!record.replacement.empty()) out["replacement"] = record.replacement.value();
  return out.dump();
}

std::string Encode(const SetAsideRecord& record) {
  json blocks = json::array();
  for (const SetAsideBlock& block : record.blocks) {
    blocks.push_back({{"first", block.first.value()},
                      {"end", block.end.value()},
                      {"checksum", absl::StrFormat("%08x", block.checksum)}});
  }
  return json{{"format", kFormat}, {"blocks", std::move(blocks)}}.dump();
}

absl::StatusOr<NodeRecord> DecodeNode(const std::string& value) {
  const absl::StatusOr<json> parsed = Parse(value, "node record");
  if (!parsed.ok()) return parsed.status();
  Fields fields(*parsed, "node record");
  NodeRecord record;
  record.id = NodeId(fields.Text("id"));
  record.zone = ZoneId(fields.Text("zone"));
  record.address = fields.Text("address");
  record.incarnation = Incarnation(fields.HexNumber("incarnation"));
  record.life = ProcessLife(fields.HexNumber("life"));
  record.draining = fields.Flag("draining");
  // Only where they hold.
  record.disk_full = fields.Has("disk_full") && fields.Flag("disk_full");
  record.disk_slow = fields.Has("disk_slow") && fields.Flag("disk_slow");
  if (fields.Has("damage")) record.damage = fields.HexNumber("damage");
  if (fields.Has("level")) record.level = static_cast<int>(fields.Number("level", 0, kLevelMax));
  FOREBAY_RETURN_IF_ERROR(fields.status());
  return record;
}

absl::StatusOr<StreamOptions> DecodeStream(const std::string& value) {
  const absl::StatusOr<json> parsed = Parse(value, "stream record");
  if (!parsed.ok()) return parsed.status();
  Fields fields(*parsed, "stream record");
  StreamOptions record;
  record.name = StreamId(fields.Text("name"));
  record.partitions = static_cast<uint32_t>(fields.Number("partitions", 1, kPartitionsMax));
  record.copies = static_cast<int>(fields.Number("copies", 1, kCopiesMax));
  record.ack_copies = static_cast<int>(fields.Number("ack_copies", 1, kCopiesMax));
  record.ack_zones = static_cast<int>(fields.Number("ack_zones", 1, kCopiesMax));
  const std::string codec = fields.Text("codec");
  bool known = false;
  for (const Codec each : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
    if (codec == CodecName(each)) record.codec = each, known = true;
  }
  if (!known) fields.Fail("has the unknown codec '" + codec + "' (none, lz4 or zstd)");
  const std::string shortfall = fields.Text("on_zone_shortfall");
  known = false;
  for (const ZoneShortfall each : {ZoneShortfall::kReject, ZoneShortfall::kAcceptDegraded}) {
    if (shortfall == ShortfallName(each)) record.on_zone_shortfall = each, known = true;
  }
  if (!known) {
    fields.Fail("has the unknown on_zone_shortfall '" + shortfall +
                "' (reject or accept_degraded)");
  }
  FOREBAY_RETURN_IF_ERROR(fields.status());
  if (const absl::Status valid = record.Validate(); !valid.ok()) {
    return absl::DataLossError(absl::StrCat("stream record: ", valid.message()));
  }
  return record;
}

absl::StatusOr<Chain> DecodeChain(const std::string& value) {
  const absl::StatusOr<json> parsed = Parse(value, "chain record");
  if (!parsed.ok()) return parsed.status();
  Fields fields(*parsed, "chain record");
  Chain chain;
  for (const json& entry : fields.Array("segments")) {
    absl::StatusOr<Segment> segment =
        SegmentOf(entry, absl::StrCat("chain record, segment ", chain.segments.size() + 1));
    if (!segment.ok()) return segment.status();
    chain.segments.push_back(*std::move(segment));
  }
  FOREBAY_RETURN_IF_ERROR(fields.status());
  FOREBAY_RETURN_IF_ERROR(ValidateChain(chain));
  return chain;
}

absl::StatusOr<MaintenanceRecord> DecodeMaintenance(const std::string& value) {
  const absl::StatusOr<json> parsed = Parse(value, "maintenance record");
  if (!parsed.ok()) return parsed.status();
  Fields fields(*parsed, "maintenance record");
  MaintenanceRecord record;
  const std::string of = fields.Text("of");
  record.of = of == "zone" ? MaintenanceRecord::Of::kZone : MaintenanceRecord::Of::kNode;
  if (of != KindName(record.of)) fields.Fail("is of '" + of + "', which is neither node nor zone");
  record.name = fields.Text("name");
  record.leaving = fields.Flag("leaving");
  if (fields.Has("replacement")) record.replacement = NodeId(fields.Text("replacement"));
  FOREBAY_RETURN_IF_ERROR(fields.status());
  return record;
}

absl::StatusOr<SetAsideRecord> DecodeSetAside(const std::string& value) {
  const absl::StatusOr<json> parsed = Parse(value, "set-aside record");
  if (!parsed.ok()) return parsed.status();
  Fields fields(*parsed, "set-aside record");
  SetAsideRecord record;
  for (const json& entry : fields.Array("blocks")) {
    Fields block(entry, absl::StrCat("set-aside record, block ", record.blocks.size() + 1));
    SetAsideBlock out;
    out.first = Offset(block.Number("first", 0, UINT64_MAX));
    out.end = Offset(block.Number("end", 0, UINT64_MAX));
    const std::string checksum = block.Text("checksum");
    if (block.status().ok() &&
        (checksum.size() != 8 || !absl::SimpleHexAtoi(checksum, &out.checksum))) {
      block.Fail("field \"checksum\" is \"" + checksum + "\", but must be 8 hex digits");
    }
    if (block.status().ok() && out.end <= out.first) block.Fail("ends where it begins");
    FOREBAY_RETURN_IF_ERROR(block.status());
    record.blocks.push_back(out);
  }
  FOREBAY_RETURN_IF_ERROR(fields.status());
  return record;
}

}  // namespace forebay
