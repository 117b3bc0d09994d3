#include "forebay/options.h"

#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status.h"

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

bool IsLoopback(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  return host.rfind("127.", 0) == 0 || host == "localhost" || host == "[::1]";
}

constexpr char kNameRule[] = "1 to 64 of a-z, 0-9, '-', '_' and '.'";

}  // namespace

absl::Status StreamOptions::Validate() const {
  if (!IsName(name.value())) {
    return OutOfRange("stream name", "'" + Shown(name.value()) + "'", kNameRule);
  }
  const std::string where = absl::StrCat("stream '", name.value(), "': ");
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
  if (memory_bytes_max < (1 << 20) || memory_bytes_max > (size_t{64} << 30)) {
    return OutOfRange("memory_bytes_max", absl::StrCat(memory_bytes_max), "1 MiB to 64 GiB");
  }
  if (give_up_after <= absl::ZeroDuration()) {
    return OutOfRange("give_up_after", absl::FormatDuration(give_up_after), "over 0");
  }
  if (producer.value().size() > EventLimits::kProducerIdBytesMax) {
    return OutOfRange("producer", absl::StrCat(producer.value().size(), " bytes long"),
                      "at most 64 bytes");
  }
  return absl::OkStatus();
}

absl::Status DiskOptions::Validate() const {
  if (refuse_at_percent < 50 || refuse_at_percent > 99) {
    return OutOfRange("disk.refuse_at_percent", absl::StrCat(refuse_at_percent), "50 to 99");
  }
  if (reserve_bytes < (1 << 20) || reserve_bytes > (uint64_t{1} << 40)) {
    return OutOfRange("disk.reserve_bytes", absl::StrCat(reserve_bytes), "1 MiB to 1 TiB");
  }
  if (slow_after < absl::Milliseconds(50) || slow_after > absl::Seconds(60)) {
    return OutOfRange("disk.slow_after", absl::FormatDuration(slow_after), "50ms to 60s");
  }
  if (scrub_bytes_per_second > (uint64_t{10} << 30)) {
    return OutOfRange("disk.scrub_bytes_per_second", absl::StrCat(scrub_bytes_per_second),
                      "0 (off) to 10 GiB");
  }
  if (scrub_every < absl::Seconds(1) || scrub_every > absl::Hours(24 * 30)) {
    return OutOfRange("disk.scrub_every", absl::FormatDuration(scrub_every), "1s to 30 days");
  }
  return absl::OkStatus();
}

absl::Status TlsOptions::Validate(bool certificate_required) const {
  if (!enabled()) return absl::OkStatus();
  if (ca.empty()) {
    return OutOfRange("tls.ca", "empty", "a PEM file with the certificates of who signs ours");
  }
  const bool none = certificate.empty() && key.empty();
  if ((certificate.empty() || key.empty()) && (certificate_required || !none)) {
    return OutOfRange(certificate.empty() ? "tls.certificate" : "tls.key", "empty",
                      "a PEM file: tls needs certificate, key and ca together");
  }
  return absl::OkStatus();
}

absl::Status AccessRule::Validate() const {
  if (name.empty()) return OutOfRange("name", "empty", "a name in the caller's certificate");
  const bool is_hex = token_sha256.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (!token_sha256.empty() && (token_sha256.size() != 64 || !is_hex)) {
    // Not what it is: it may be the token itself, by mistake.
    return OutOfRange("token_sha256", absl::StrCat(token_sha256.size(), " characters long"),
                      "64 hex digits, as sha256sum prints them");
  }
  for (const auto* streams : {&append, &read, &admin}) {
    for (const std::string& stream : *streams) {
      if (stream != "*" && !IsName(stream)) {
        return OutOfRange("a stream", "'" + stream + "'", absl::StrCat("* or ", kNameRule));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ServerLimits::Validate() const {
  if (connections_max < 16 || connections_max > 1'000'000) {
    return OutOfRange("limits.connections_max", absl::StrCat(connections_max), "16 to 1,000,000");
  }
  if (calls_per_connection_max < 16 || calls_per_connection_max > 100'000) {
    return OutOfRange("limits.calls_per_connection_max", absl::StrCat(calls_per_connection_max),
                      "16 to 100,000");
  }
  return absl::OkStatus();
}

absl::Status BufferOptions::ValidateListen() const {
  if (!access.empty() && !tls.enabled()) {
    return absl::InvalidArgumentError(
        "access has rules, but without tls (certificate, key, ca) nobody can be recognized");
  }
  if (tls.enabled() || allow_plaintext || IsLoopback(listen)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "listen is ", listen,
      ", which others can reach, but without TLS nobody has to show who they are: set tls "
      "(certificate, key, ca), or listen on 127.0.0.1, or set allow_plaintext: true if the network "
      "around this node lets nobody else in"));
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
  if (absl::Status status = tls.Validate(true); !status.ok()) return status;
  if (absl::Status status = ValidateListen(); !status.ok()) return status;
  for (const AccessRule& rule : access) {
    if (absl::Status status = rule.Validate(); !status.ok()) return status;
  }
  if (absl::Status status = disk.Validate(); !status.ok()) return status;
  if (absl::Status status = limits.Validate(); !status.ok()) return status;
  return batch.Validate();
}

absl::Status ClientOptions::Validate() const {
  if (nodes.empty()) return OutOfRange("nodes", "empty", "at least one host:port");
  if (!IsName(stream.value())) return OutOfRange("stream", "'" + stream.value() + "'", kNameRule);
  if (absl::Status status = tls.Validate(false); !status.ok()) return status;
  if (!token_file.empty() && !tls.enabled()) {
    return absl::InvalidArgumentError(
        "token_file needs tls.ca: a token is never sent in the clear");
  }
  return batch.Validate();
}

}  // namespace forebay
