// Every setting of the library: meaning, unit, default, limit. Validate() names the first that is
// out of range. The node's YAML file uses the same names.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "forebay/ids.h"
#include "forebay/sink.h"

namespace forebay {

// Over one of these an event is refused with INVALID_ARGUMENT. They are fixed: a node could not
// replicate a larger block.
struct EventLimits {
  static constexpr size_t kPayloadBytesMax = 1 << 20;
  static constexpr size_t kIdBytesMax = 256;
  static constexpr size_t kKeyBytesMax = 1024;
  static constexpr size_t kTypeBytesMax = 256;
  static constexpr size_t kAttributesMax = 64;
  static constexpr size_t kAttributeBytesMax = 4096;  // name and value together
  static constexpr size_t kBlockEventsMax = 65536;
  static constexpr size_t kBlockBytesMax = 4 << 20;  // raw bytes of all events of a block
  static constexpr size_t kProducerIdBytesMax = 64;
};

enum class Codec : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

// What to do when fewer zones are alive than ack_zones asks for.
enum class ZoneShortfall {
  kReject,          // appends are "not stored", retryable
  kAcceptDegraded,  // acknowledge with the zones there are; counted; repaired when they are back
};

struct StreamOptions {
  StreamId name;
  uint32_t partitions = 6;  // 1 to 65,536; fixed once the stream exists
  int copies = 3;           // replicas of each block, 1 to 5
  int ack_copies = 2;       // durable copies before an acknowledgement, 1 to copies
  int ack_zones = 2;        // distinct zones among them, 1 to ack_copies
  Codec codec = Codec::kZstd;
  ZoneShortfall on_zone_shortfall = ZoneShortfall::kReject;

  absl::Status Validate() const;
};

// How a producer packs events into blocks.
struct BatchOptions {
  size_t block_bytes_max = 256 << 10;  // raw; 1 KiB to 4 MiB
  // How long an event may wait for its block to fill: 0 to 1 s. Skipped when few blocks are
  // in flight; extended to 250 ms when the owners fall behind.
  absl::Duration linger = absl::Milliseconds(2);
  size_t memory_bytes_max = 64 << 20;  // events taken in and not settled yet; 1 MiB to 64 GiB
  // At memory_bytes_max: true = Append waits for room, false = it refuses (RESOURCE_EXHAUSTED).
  bool wait_for_memory = true;
  // How long an append is retried, over any number of owners, before its outcome is reported: as
  // unknown, or as not stored where that is sure. Over 0; infinite by default. In a node it is also
  // for what comes through Ingest.Append and for dead letters, which wait 10 s if it is infinite.
  absl::Duration give_up_after = absl::InfiniteDuration();
  // Given: retries of a restarted process are recognized if it repeats its sequences and epoch.
  // Empty: drawn at start.
  ProducerId producer;
  uint64_t producer_epoch = 0;

  absl::Status Validate() const;
};

// When an owner opens a new segment, and when a node counts as gone.
struct SegmentOptions {
  uint64_t bytes_max = 1 << 30;
  absl::Duration age_max = absl::Minutes(10);
  // Of a segment with fewer zones than copies, so that recovering it stays short.
  uint64_t short_of_zones_bytes_max = 64 << 20;
};

struct LivenessOptions {
  absl::Duration heartbeat_every = absl::Milliseconds(100);
  absl::Duration suspect_after = absl::Seconds(1);
  // How long a node may be gone before its copies are made elsewhere.
  absl::Duration replace_after = absl::Minutes(5);
};

// When a node's disk is too full, or too slow, to be an owner's.
struct DiskOptions {
  // Percent of the file system of data_directory that is in use. From there on the node takes no
  // more appends (RESOURCE_EXHAUSTED, with a hint when to try again) and hands its partitions over
  // to nodes with room; it resumes by itself 2 points below. 50 to 99.
  int refuse_at_percent = 90;
  // Kept free for drain, trim and what RocksDB rewrites. With less, the node stores no blocks at
  // all, nor as a replica. At least 16 x memtable_bytes; 1 MiB to 1 TiB.
  uint64_t reserve_bytes = 1 << 30;
  // A write that takes longer to become durable makes an owner hand its partitions over; the node
  // takes over again after ten times as long without one. 50 ms to 60 s.
  absl::Duration slow_after = absl::Seconds(1);
  // How fast the node reads all that it stores, in the background, to find flipped bits before they
  // are needed. 0: not at all; up to 10 GiB.
  uint64_t scrub_bytes_per_second = 8 << 20;
  // A pass begins at least this long after the one before began. 1 s to 30 days.
  absl::Duration scrub_every = absl::Hours(1);

  absl::Status Validate() const;
};

// What any caller may cost a node.
struct ServerLimits {
  // Connections at once, of nodes and clients together; a newer one is closed at once. Never so
  // many that fewer than 512 of the process's descriptors are left for its files. 16 to 1,000,000.
  size_t connections_max = 10'000;
  // Calls and streams at once on one connection; a newer one waits at the caller. 16 to 100,000.
  size_t calls_per_connection_max = 1000;

  absl::Status Validate() const;
};

// A sink and the stream it drains.
struct SinkBinding {
  SinkId name;
  StreamId stream;
  std::shared_ptr<Sink> sink;  // shared with the caller, who may look at it
  size_t batch_bytes_max = 1 << 20;
  size_t batch_events_max = 10'000;
  absl::Duration batch_wait_max = absl::Milliseconds(50);  // for a fuller batch, unless one is full
  // How long a delivered block is kept, for a downstream that fails over to an older state.
  absl::Duration keep_after_delivery = absl::Seconds(10);
};

// Mutual TLS, with PEM files. Connections made after a file has changed use the new one.
struct TlsOptions {
  std::string certificate;  // ours, followed by intermediate ones if there are any
  std::string key;          // of `certificate`
  std::string ca;           // who signs the certificates that we accept

  bool enabled() const { return !certificate.empty() || !key.empty() || !ca.empty(); }
  // Whether the right ones are there; nothing is read. A client that shows a token instead of a
  // certificate needs only `ca`.
  absl::Status Validate(bool certificate_required) const;
};

// What one caller may do. Streams by name, or "*" for all.
struct AccessRule {
  std::string name;  // in the caller's certificate: common name, DNS name or URI
  // Given: a caller that shows a bearer token with this SHA-256 (64 hex digits), instead of a
  // certificate; `name` is then for messages only.
  std::string token_sha256;
  std::vector<std::string> append;
  std::vector<std::string> read;
  std::vector<std::string> admin;  // "*" for what concerns a whole node

  absl::Status Validate() const;
};

// A Buffer is a node linked into a process.
struct BufferOptions {
  NodeId node;                 // unique; 1 to 64 of [a-z0-9-]
  ZoneId zone;                 // its availability zone
  std::string data_directory;  // the write-ahead log; one node each
  // Where the nodes meet: "sqlite:/path/to/file" (one machine) or "etcd:host:2379,host:2379".
  std::string metadata;
  std::string listen = "127.0.0.1:0";  // for peers and clients; port 0 = any free port
  std::string advertise;               // what others dial; empty = the address listened on
  // A node's certificate must hold the DNS name "<node>.node.forebay", and the host that others
  // dial. Without TLS a node listens on loopback only, unless allow_plaintext is set.
  TlsOptions tls;
  // Set it where the network lets nobody else reach the address.
  bool allow_plaintext = false;
  // None: everyone (with TLS: everyone with a certificate) may do everything. Rules need TLS.
  std::vector<AccessRule> access;
  // For tests of outages: dial a peer's address through another one (node id -> address).
  std::map<NodeId, std::string> dial_instead;
  std::vector<StreamOptions> streams;  // created when they do not exist
  std::vector<SinkBinding> sinks;
  BatchOptions batch;
  SegmentOptions segment;
  LivenessOptions liveness;
  DiskOptions disk;
  ServerLimits limits;
  size_t memtable_bytes = 64 << 20;

  absl::Status Validate() const;
  // The part of it about `listen`, `tls` and `allow_plaintext`.
  absl::Status ValidateListen() const;
};

// A Client appends to remote nodes.
struct ClientOptions {
  std::vector<std::string> nodes;  // "host:port" of some nodes; the others are found through them
  StreamId stream;
  ZoneId zone;             // prefers owners in this zone for events without a key; empty = any
  TlsOptions tls;          // needed where the nodes have TLS
  std::string token_file;  // a bearer token to show; read at Connect
  BatchOptions batch;

  absl::Status Validate() const;
};

}  // namespace forebay
