#include "forebay/options.h"

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

absl::Status OutOfRange(const std::string& setting, const std::string& value,
                        const std::string& range) {
  return absl::InvalidArgumentError(
      absl::StrCat(setting, " is ", value, ", but it must be ", range));
}

bool IsName(const std::string& name) {
  if (name.empty() || name.size() > 64) return false;
  for (const char c : name) {
    const bool ok =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!ok) return false;
  }
  return true;
}

constexpr char kNameRule[] = "1 to 64 of a-z, 0-9, '-', '_' and '.'";

}  // namespace

absl::Status StreamOptions::Validate() const {
  const std::string where = absl::StrCat("stream '", name.value(), "': ");
  if (!IsName(name.value())) return OutOfRange("stream name", "'" + name.value() + "'", kNameRule);
  if (partitions < 1 || partitions > 65536) {
    return OutOfRange(where + "partitions", absl::StrCat(partitions), "1 to 65536");
  }
  if (copies < 1 || copies > 5) return OutOfRange(where + "copies", absl::StrCat(copies), "1 to 5");
  if (ack_copies < 1 || ack_copies > copies) {
    return OutOfRange(where + "ack_copies", absl::StrCat(ack_copies),
                      absl::StrCat("1 to copies (", copies, ")"));
  }
  if (ack_zones < 1 || ack_zones > ack_copies) {
    return OutOfRange(where + "ack_zones", absl::StrCat(ack_zones),
                      absl::StrCat("1 to ack_copies (", ack_copies, ")"));
  }
  return absl::OkStatus();
}

absl::Status BatchOptions::Validate() const {
  if (block_bytes_max < 1024 || block_bytes_max > EventLimits::kBlockBytesMax) {
    return OutOfRange("block_bytes_max", absl::StrCat(block_bytes_max), "1 KiB to 4 MiB");
  }
  if (linger < absl::ZeroDuration() || linger > absl::Seconds(1)) {
    return OutOfRange("linger", absl::FormatDuration(linger), "0 to 1s");
  }
  if (memory_bytes_max < (1 << 20)) {
    return OutOfRange("memory_bytes_max", absl::StrCat(memory_bytes_max), "at least 1 MiB");
  }
  if (producer.value().size() > EventLimits::kProducerIdBytesMax) {
    return OutOfRange("producer", absl::StrCat(producer.value().size(), " bytes long"),
                      "at most 64 bytes");
  }
  return absl::OkStatus();
}

absl::Status BufferOptions::Validate() const {
  if (!IsName(node.value())) return OutOfRange("node", "'" + node.value() + "'", kNameRule);
  if (!IsName(zone.value())) return OutOfRange("zone", "'" + zone.value() + "'", kNameRule);
  if (data_directory.empty()) {
    return OutOfRange("data_directory", "empty", "a folder that this node alone writes to");
  }
  if (metadata.rfind("sqlite:", 0) != 0 && metadata.rfind("etcd:", 0) != 0) {
    return OutOfRange("metadata", "'" + metadata + "'",
                      "sqlite:/path/to/file or etcd:host:port,host:port");
  }
  for (const StreamOptions& stream : streams) {
    if (absl::Status status = stream.Validate(); !status.ok()) return status;
  }
  return batch.Validate();
}

absl::Status ClientOptions::Validate() const {
  if (nodes.empty()) return OutOfRange("nodes", "empty", "at least one host:port");
  if (!IsName(stream.value())) return OutOfRange("stream", "'" + stream.value() + "'", kNameRule);
  return batch.Validate();
}

}  // namespace forebay
