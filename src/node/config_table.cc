#include "node/config_table.h"

#include <limits>
#include <string>
#include <utility>

namespace forebay {
namespace {

constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;

const std::vector<std::pair<std::string, bool>> kYesNo = {{"true", true}, {"false", false}};

std::vector<Setting<NodeConfig>> Root() {
  const auto buffer = [](Setting<BufferOptions> setting) {
    return Within(&NodeConfig::buffer, std::move(setting));
  };
  using B = BufferOptions;
  return {
      buffer(NameSetting({"node", "Name of this node, unique among all nodes.", "a1"}, &B::node)),
      buffer(NameSetting({"zone", "Availability zone that this node runs in.", "a"}, &B::zone)),
      buffer(TextSetting({"data_directory", "Folder of the write-ahead log; one node each.",
                          "/var/lib/forebay/a1"},
                         "", &B::data_directory)),
      buffer(TextSetting({"metadata", "Where the nodes meet: a file (one machine) or etcd.",
                          "sqlite:/var/lib/forebay/metadata.db"},
                         "sqlite:/path/to/file | etcd:host:port,host:port", &B::metadata)),
      buffer(TextSetting(
          {"listen",
           "Address for peers and clients; port 0 = any free port, which the log tells. "
           "Commands try 127.0.0.1:7400 unless --nodes names another."},
          "host:port", &B::listen)),
      buffer(TextSetting({"advertise", "What others dial; empty = the address listened on."},
                         "host:port", &B::advertise)),
      buffer(ChoiceSetting<B, bool>(
          {"allow_plaintext", "true: listen also where others can reach it, without tls."}, kYesNo,
          &B::allow_plaintext)),
      buffer(SizeSetting({"memtable_bytes", "Memory of the write-ahead log's newest blocks."},
                         {kMiB, 4 * kGiB}, &B::memtable_bytes)),
  };
}

std::vector<Setting<StreamOptions>> Streams() {
  using S = StreamOptions;
  return {
      NameSetting({"name", "Name of the stream.", "web"}, &S::name),
      CountSetting({"partitions", "Ordered logs of the stream; fixed once it exists."}, {1, 65536},
                   &S::partitions),
      CountSetting({"copies", "Replicas of each block."}, {1, 5}, &S::copies),
      CountSetting({"ack_copies", "Durable copies before an acknowledgement; at most copies."},
                   {1, 5}, &S::ack_copies),
      CountSetting({"ack_zones", "Distinct zones among them; at most ack_copies."}, {1, 5},
                   &S::ack_zones),
      ChoiceSetting<S, Codec>(
          {"codec", "Compression of blocks on the wire and on disk."},
          {{"none", Codec::kNone}, {"lz4", Codec::kLz4}, {"zstd", Codec::kZstd}}, &S::codec),
      ChoiceSetting<S, ZoneShortfall>(
          {"on_zone_shortfall", "What to do when fewer than ack_zones zones are alive."},
          {{"reject", ZoneShortfall::kReject}, {"accept_degraded", ZoneShortfall::kAcceptDegraded}},
          &S::on_zone_shortfall),
  };
}

std::vector<Setting<SinkConfig>> Sinks() {
  const auto binding = [](Setting<SinkBinding> setting) {
    return Within(&SinkConfig::binding, std::move(setting));
  };
  using B = SinkBinding;
  return {
      binding(NameSetting({"name", "Name of the sink; its progress is kept under it.", "warehouse"},
                          &B::name)),
      binding(NameSetting({"stream", "The stream it drains.", "web"}, &B::stream)),
      TextSetting({"url", "Where the events go.", "sqlite:/var/lib/forebay/events.db"},
                  "sqlite:/path/to/file | postgres://user@host/database | files:/path/to/folder",
                  &SinkConfig::url),
      binding(SizeSetting({"batch_bytes_max", "Raw bytes of one delivery."}, {kKiB, 64 * kMiB},
                          &B::batch_bytes_max)),
      binding(CountSetting({"batch_events_max", "Events of one delivery."}, {1, 1'000'000},
                           &B::batch_events_max)),
      binding(DurationSetting({"batch_wait_max", "Wait for a fuller batch."},
                              {absl::ZeroDuration(), absl::Seconds(60)}, &B::batch_wait_max)),
      binding(DurationSetting(
          {"keep_after_delivery", "How long a delivered block is kept, should the sink lose it."},
          {absl::ZeroDuration(), absl::Hours(24 * 7)}, &B::keep_after_delivery)),
  };
}

std::vector<Setting<TlsOptions>> Tls() {
  using T = TlsOptions;
  return {
      TextSetting({"certificate", "This node's, with the DNS name <node>.node.forebay."},
                  "PEM file", &T::certificate),
      TextSetting({"key", "Of the certificate."}, "PEM file", &T::key),
      TextSetting({"ca", "Who signs the certificates of nodes and clients."}, "PEM file", &T::ca),
  };
}

std::vector<Setting<AccessRule>> AccessRules() {
  using A = AccessRule;
  constexpr char kStreams[] = "streams, or \"*\" for all";
  return {
      TextSetting({"name", "A name in the caller's certificate.", "shop"}, "", &A::name),
      TextSetting({"token_sha256", "Instead: of a bearer token that the caller shows."},
                  "64 hex digits", &A::token_sha256),
      WordsSetting({"append", "Streams it may append to."}, kStreams, &A::append),
      WordsSetting({"read", "Streams it may tail."}, kStreams, &A::read),
      WordsSetting({"admin", "Streams it may move and create; * also for nodes."}, kStreams,
                   &A::admin),
  };
}

std::vector<Setting<BatchOptions>> Batch() {
  using B = BatchOptions;
  return {
      SizeSetting({"block_bytes_max", "Raw bytes of one block."},
                  {kKiB, EventLimits::kBlockBytesMax}, &B::block_bytes_max),
      DurationSetting({"linger", "How long an event may wait for its block to fill."},
                      {absl::ZeroDuration(), absl::Seconds(1)}, &B::linger),
      SizeSetting({"memory_bytes_max", "Events taken in and not settled yet."}, {kMiB, 64 * kGiB},
                  &B::memory_bytes_max),
      ChoiceSetting<B, bool>(
          {"wait_for_memory", "At memory_bytes_max: true = wait for room, false = refuse."}, kYesNo,
          &B::wait_for_memory),
      DurationSetting({"give_up_after", "How long an append is retried before it is unknown."},
                      {absl::Milliseconds(1), absl::InfiniteDuration()}, &B::give_up_after),
  };
}

std::vector<Setting<SegmentOptions>> Segment() {
  using S = SegmentOptions;
  return {
      SizeSetting({"bytes_max", "A segment of this size is followed by a new one."},
                  {kMiB, 64 * kGiB}, &S::bytes_max),
      DurationSetting({"age_max", "A segment of this age is followed by a new one."},
                      {absl::Seconds(1), absl::Hours(24 * 7)}, &S::age_max),
      SizeSetting({"short_of_zones_bytes_max", "bytes_max of a segment with too few zones."},
                  {kMiB, 64 * kGiB}, &S::short_of_zones_bytes_max),
  };
}

std::vector<Setting<LivenessOptions>> Liveness() {
  using L = LivenessOptions;
  return {
      DurationSetting({"heartbeat_every", "How often a node tells its peers that it lives."},
                      {absl::Milliseconds(10), absl::Seconds(10)}, &L::heartbeat_every),
      DurationSetting({"suspect_after", "A peer that is silent for this long counts as gone."},
                      {absl::Milliseconds(100), absl::Seconds(60)}, &L::suspect_after),
      DurationSetting(
          {"replace_after", "A node that is gone for this long has its copies made elsewhere."},
          {absl::Seconds(1), absl::Hours(24 * 7)}, &L::replace_after),
  };
}

std::vector<Setting<DiskOptions>> Disk() {
  using D = DiskOptions;
  return {
      CountSetting({"refuse_at_percent",
                    "Level of data_directory's disk from which the node takes no appends and hands "
                    "over; it resumes 2 below."},
                   {50, 99}, &D::refuse_at_percent),
      SizeSetting(
          {"reserve_bytes", "Kept free for drain and trim; at least 16 times memtable_bytes."},
          {kMiB, 1024 * kGiB}, &D::reserve_bytes),
      DurationSetting({"slow_after", "A write that takes longer makes an owner hand over."},
                      {absl::Milliseconds(50), absl::Seconds(60)}, &D::slow_after),
      SizeSetting({"scrub_bytes_per_second",
                   "How fast all that is stored is read for flipped bits; 0 = not at all."},
                  {0, 10 * kGiB}, &D::scrub_bytes_per_second),
      DurationSetting({"scrub_every", "Time from the start of one such pass to the next."},
                      {absl::Seconds(1), absl::Hours(24 * 30)}, &D::scrub_every),
  };
}

std::vector<Setting<ServerLimits>> Limits() {
  using L = ServerLimits;
  return {
      CountSetting({"connections_max",
                    "Connections at once, of nodes and clients; a newer one is closed at once."},
                   {16, 1'000'000}, &L::connections_max),
      CountSetting({"calls_per_connection_max",
                    "Calls and streams at once on one connection; a newer one waits."},
                   {16, 100'000}, &L::calls_per_connection_max),
  };
}

}  // namespace

ConfigTable MakeConfigTable() {
  ConfigTable table{.root = Root(),
                    .streams = Streams(),
                    .sinks = Sinks(),
                    .tls = Tls(),
                    .access = AccessRules(),
                    .batch = Batch(),
                    .segment = Segment(),
                    .liveness = Liveness(),
                    .disk = Disk(),
                    .limits = Limits(),
                    .log = {},
                    .metrics = {}};
  table.log = {ChoiceSetting<LogConfig, LogLevel>({"level", "The least that is logged."},
                                                  {{"debug", LogLevel::kDebug},
                                                   {"info", LogLevel::kInfo},
                                                   {"warning", LogLevel::kWarning},
                                                   {"error", LogLevel::kError}},
                                                  &LogConfig::level),
               ChoiceSetting<LogConfig, LogFormat>(
                   {"format", "For people, or JSON lines."},
                   {{"human", LogFormat::kHuman}, {"json", LogFormat::kJson}}, &LogConfig::format)};
  table.metrics = {
      TextSetting({"listen", "Address that Prometheus scrapes (/metrics); empty = none."},
                  "host:port", &MetricsConfig::listen)};
  return table;
}

}  // namespace forebay
