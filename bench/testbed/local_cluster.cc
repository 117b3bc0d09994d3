#include "testbed/local_cluster.h"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "cli/programs.h"
#include "runtime/pause.h"
#include "runtime/real_clock.h"
#include "testbed/local_certificates.h"

namespace forebay {
namespace {

constexpr char kThisHost[] = "127.0.0.1";
constexpr absl::Duration kReadyLimit = absl::Seconds(30);
constexpr absl::Duration kStopLimit = absl::Seconds(15);

bool OwnedAll(const ClusterStatus& status, const StreamOptions& stream) {
  std::set<PartitionId> owned;
  for (const PartitionStatus& partition : status.partitions) {
    if (partition.owned_here && partition.partition.stream == stream.name) {
      owned.insert(partition.partition);
    }
  }
  return owned.size() == stream.partitions;
}

bool AllAlive(const ClusterStatus& status) {
  for (const NodeStatus& node : status.nodes) {
    if (!node.alive) return false;
  }
  return status.silent.empty();
}

}  // namespace

bool AllUp(const ClusterStatus& status, const StreamOptions& stream) {
  return AllAlive(status) && OwnedAll(status, stream);
}

bool HasAllCopies(const PartitionStatus& partition, const StreamOptions& stream, size_t nodes) {
  if (partition.under_replicated > 0) return false;
  if (partition.partition.stream != stream.name || partition.chain.segments.empty()) return true;
  return partition.chain.segments.back().replicas.size() >= std::min<size_t>(stream.copies, nodes);
}

bool FullyReplicated(const ClusterStatus& status, const StreamOptions& stream) {
  if (!AllUp(status, stream)) return false;
  for (const PartitionStatus& partition : status.partitions) {
    if (!HasAllCopies(partition, stream, status.nodes.size())) return false;
  }
  return true;
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Start(LocalClusterOptions options) {
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(std::move(options)));
  FOREBAY_RETURN_IF_ERROR(cluster->StartAll());
  return cluster;
}

LocalCluster::~LocalCluster() = default;

absl::Status LocalCluster::StartAll() {
  if (options_.cuttable) FOREBAY_RETURN_IF_ERROR(MakeCuttable());
  if (options_.etcd) FOREBAY_RETURN_IF_ERROR(PlanEtcd());
  FOREBAY_RETURN_IF_ERROR(PlanNodes());
  if (options_.disks) FOREBAY_RETURN_IF_ERROR(MakeDisks());
  for (Process& process : processes_) {
    if (!process.is_spare) FOREBAY_RETURN_IF_ERROR(StartProcess(process));
  }
  remote_ = std::make_unique<RemoteCluster>(
      RemoteNodes{.addresses = addresses(), .tls = client_tls_, .token_file = {}});
  return WaitUntilReady();
}

absl::Status LocalCluster::PlanEtcd() {
  for (const ZoneId& zone : zones()) {
    const absl::StatusOr<uint16_t> port = ports_.Take();
    const absl::StatusOr<uint16_t> peer_port = ports_.Take();
    if (!port.ok()) return port.status();
    if (!peer_port.ok()) return peer_port.status();
    processes_.push_back({.name = "etcd-" + zone.value(),
                          .zone = zone,
                          .host = HostOf(zone),
                          .is_node = false,
                          .port = *port,
                          .peer_port = *peer_port,
                          .command = {},
                          .disk = nullptr,
                          .child = nullptr});
  }
  std::vector<std::string> members;
  for (const Process& member : processes_) {
    members.push_back(absl::StrCat(member.name, "=http://", member.host, ":", member.peer_port));
  }
  for (Process& member : processes_) {
    const std::string client = "http://" + member.address();
    const std::string peer = absl::StrCat("http://", member.host, ":", member.peer_port);
    member.command = {"etcd", "--name", member.name, "--data-dir",
                      absl::StrCat(options_.directory, "/", member.name), "--listen-client-urls",
                      client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
                      "--initial-advertise-peer-urls", peer, "--initial-cluster",
                      absl::StrJoin(members, ","), "--initial-cluster-state", "new",
                      // Of a fleet within one region; the default of 1,000 ms would alone fill the
                      // second in which a partition has to accept again.
                      "--heartbeat-interval", "50", "--election-timeout", "300", "--log-level",
                      "warn"};
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::PlanNodes() {
  const size_t first = processes_.size();
  for (const ZoneId& zone : zones()) {
    for (int i = 1; i <= options_.nodes_per_zone + options_.spares_per_zone; ++i) {
      const absl::StatusOr<uint16_t> port = ports_.Take();
      if (!port.ok()) return port.status();
      processes_.push_back({.name = absl::StrCat(zone.value(), i),
                            .zone = zone,
                            .host = HostOf(zone),
                            .is_node = true,
                            .port = *port,
                            .peer_port = 0,
                            .command = {},
                            .disk = nullptr,
                            .child = nullptr,
                            .tls = {},
                            .is_spare = i > options_.nodes_per_zone,
                            .may_end = i > options_.nodes_per_zone});
    }
  }
  if (options_.tls) FOREBAY_RETURN_IF_ERROR(MakeCertificates());
  const absl::StatusOr<std::string> program = FindProgram("forebay");
  if (!program.ok()) return program.status();
  for (size_t i = first; i < processes_.size(); ++i) {
    Process& node = processes_[i];
    const absl::StatusOr<std::string> text = NodeConfigText(node);
    if (!text.ok()) return text.status();
    const std::string path = absl::StrCat(options_.directory, "/", node.name, ".yaml");
    if (!(std::ofstream(path) << *text)) {
      return absl::UnavailableError(absl::StrCat("cannot write ", path));
    }
    node.command = {*program, "node", "--config", path};
    if (!options_.clocks) continue;
    node.command = ClockOf(node).Command(std::move(node.command));
    FOREBAY_RETURN_IF_ERROR(ClockOf(node).SetOff(absl::ZeroDuration()));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::MakeCertificates() {
  const auto made = LocalCertificates::Make(options_.directory + "/certificates");
  if (!made.ok()) return made.status();
  for (Process& node : processes_) {
    if (!node.is_node) continue;
    absl::StatusOr<TlsOptions> tls = made->ForNode(node.name, node.host);
    if (!tls.ok()) return tls.status();
    node.tls = *std::move(tls);
  }
  absl::StatusOr<TlsOptions> tls = made->ForClient("drill");
  if (!tls.ok()) return tls.status();
  client_tls_ = *std::move(tls);
  return absl::OkStatus();
}

absl::StatusOr<std::string> LocalCluster::AddressOf(const Process& from, const Process& to) {
  if (proxy_ == nullptr || from.zone == to.zone) return to.address();
  const std::string name = absl::StrCat(from.name, ">", to.name);
  const absl::StatusOr<uint16_t> port = proxy_->AddRoute(name, to.port);
  if (!port.ok()) return port.status();
  routes_.push_back({.name = name, .from = from.zone, .to = to.zone});
  return absl::StrCat(kThisHost, ":", *port);
}

absl::StatusOr<std::string> LocalCluster::MetadataOf(const Process& node) {
  if (!options_.etcd) return absl::StrCat("sqlite:", options_.directory, "/metadata.db");
  // The member of the node's own zone first.
  std::vector<std::string> own, others;
  for (const Process& member : processes_) {
    if (member.is_node) continue;
    absl::StatusOr<std::string> address = AddressOf(node, member);
    if (!address.ok()) return address.status();
    (member.zone == node.zone ? own : others).push_back(*std::move(address));
  }
  own.insert(own.end(), others.begin(), others.end());
  return "etcd:" + absl::StrJoin(own, ",");
}

absl::StatusOr<std::string> LocalCluster::NodeConfigText(const Process& node) {
  const absl::StatusOr<std::string> metadata = MetadataOf(node);
  if (!metadata.ok()) return metadata.status();
  std::string text = absl::StrCat(
      "node: ", node.name, "\nzone: ", node.zone.value(), "\ndata_directory: ", options_.directory,
      "/", node.name, "\nmetadata: \"", *metadata, "\"\nlisten: ", node.address(), "\n");
  if (network_ != nullptr && !options_.tls) absl::StrAppend(&text, "allow_plaintext: true\n");
  const StreamOptions& stream = options_.stream;
  absl::StrAppend(&text, "streams:\n  - {name: ", stream.name.value(),
                  ", partitions: ", stream.partitions, ", copies: ", stream.copies,
                  ", ack_copies: ", stream.ack_copies, ", ack_zones: ", stream.ack_zones, "}\n");
  if (!options_.sinks.empty()) absl::StrAppend(&text, "sinks:\n");
  for (const LocalSink& sink : options_.sinks) {
    absl::StrAppend(&text, "  - {name: ", sink.name.value(), ", stream: ", stream.name.value(),
                    ", url: \"", sink.url, "\"}\n");
  }
  if (options_.tls) {
    absl::StrAppend(&text, "tls: {certificate: ", node.tls.certificate, ", key: ", node.tls.key,
                    ", ca: ", node.tls.ca, "}\n");
  }
  // The reserve of a large disk would fill these.
  if (options_.disks) {
    absl::StrAppend(&text, "memtable_bytes: 8MiB\ndisk: {reserve_bytes: 128MiB}\n");
  }
  if (options_.scrub_often) {
    absl::StrAppend(&text, "memtable_bytes: 2MiB\n",
                    "disk: {scrub_bytes_per_second: 256MiB, scrub_every: 1s}\n");
  }
  if (proxy_ == nullptr) return text;
  absl::StrAppend(&text, "dial_instead:\n");
  for (const Process& peer : processes_) {
    if (!peer.is_node || peer.zone == node.zone) continue;
    const absl::StatusOr<std::string> address = AddressOf(node, peer);
    if (!address.ok()) return address.status();
    absl::StrAppend(&text, "  ", peer.name, ": ", *address, "\n");
  }
  return text;
}

absl::Status LocalCluster::StartProcess(Process& process) {
  const std::string log = absl::StrCat(options_.directory, "/", process.name, ".log");
  auto child = ChildProcess::Start(
      {.command = process.command,
       .log = log,
       .network = network_ == nullptr ? -1 : network_->NamespaceOf(process.zone)});
  if (!child.ok()) return WithContext(child.status(), "start ", process.name);
  End(process);
  process.child = *std::move(child);
  process.may_end = false;
  return absl::OkStatus();
}

absl::Status LocalCluster::MakeDisks() {
  // Most of it stays a hole.
  constexpr uint64_t kDiskBytes = uint64_t{1} << 30;
  for (Process& node : processes_) {
    if (!node.is_node) continue;
    auto disk = LocalDisk::Make({.folder = absl::StrCat(options_.directory, "/", node.name),
                                 .log = absl::StrCat(options_.directory, "/disks.log"),
                                 .size_bytes = kDiskBytes});
    if (!disk.ok()) return WithContext(disk.status(), "make a disk for ", node.name);
    node.disk = *std::move(disk);
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::MakeCuttable() {
  if (!options_.networks) {
    auto proxy = RunningCutProxy::Start();
    if (!proxy.ok()) return proxy.status();
    proxy_ = *std::move(proxy);
    return absl::OkStatus();
  }
  auto network = LocalNetwork::Make(zones(), options_.directory + "/network.log");
  if (!network.ok()) return network.status();
  network_ = *std::move(network);
  return absl::OkStatus();
}

std::string LocalCluster::HostOf(const ZoneId& zone) const {
  return network_ == nullptr ? kThisHost : network_->HostOf(zone);
}

std::string LocalCluster::Process::address() const { return absl::StrCat(host, ":", port); }

absl::Status LocalCluster::WaitUntilReady() {
  const RealClock clock;
  const absl::Time until = clock.Now() + kReadyLimit;
  absl::Status last = absl::OkStatus();
  size_t alive = 0;
  const size_t nodes = node_names().size();
  while (clock.Now() < until) {
    FOREBAY_RETURN_IF_ERROR(CheckRunning());
    const absl::StatusOr<ClusterStatus> status = remote_->Status(absl::Seconds(1));
    last = status.status();
    if (status.ok()) {
      alive = status->nodes.size() - status->silent.size();
      if (status->nodes.size() == nodes && FullyReplicated(*status, options_.stream)) {
        return absl::OkStatus();
      }
    }
    Pause(absl::Milliseconds(50));
  }
  return absl::UnavailableError(absl::StrCat(
      "the cluster was not ready within ", absl::FormatDuration(kReadyLimit), ": ", alive, " of ",
      nodes, " nodes answer", last.ok() ? "" : absl::StrCat(" (", last.message(), ")"),
      "; the logs are in ", options_.directory));
}

std::vector<std::string> LocalCluster::addresses() const {
  std::vector<std::string> out;
  for (const Process& process : processes_) {
    if (process.is_node) out.push_back(process.address());
  }
  return out;
}

std::vector<ZoneId> LocalCluster::zones() const {
  std::vector<ZoneId> out;
  for (int i = 0; i < options_.zones; ++i) {
    out.emplace_back(std::string(1, static_cast<char>('a' + i)));
  }
  return out;
}

std::vector<std::string> LocalCluster::node_names() const {
  std::vector<std::string> out;
  for (const Process& process : processes_) {
    if (process.is_node && !process.is_spare) out.push_back(process.name);
  }
  return out;
}

std::vector<std::string> LocalCluster::spare_names() const {
  std::vector<std::string> out;
  for (const Process& process : processes_) {
    if (process.is_spare) out.push_back(process.name);
  }
  return out;
}

const ZoneId& LocalCluster::zone_of(const std::string& name) const { return Find(name).zone; }

std::vector<std::string> LocalCluster::etcd_names() const {
  std::vector<std::string> out;
  for (const Process& process : processes_) {
    if (!process.is_node) out.push_back(process.name);
  }
  return out;
}

std::vector<pid_t> LocalCluster::node_pids() const {
  std::vector<pid_t> out;
  for (const Process& process : processes_) {
    if (process.is_node && process.child) out.push_back(process.child->pid());
  }
  return out;
}

std::vector<std::string> LocalCluster::data_directories() const {
  std::vector<std::string> out;
  for (const Process& process : processes_) {
    if (process.is_node) out.push_back(absl::StrCat(options_.directory, "/", process.name));
  }
  return out;
}

std::vector<NodeLevels> LocalCluster::levels() const {
  std::vector<NodeLevels> out;
  for (const Process& process : processes_) {
    if (!process.is_node || !process.child) continue;
    out.push_back(
        LevelsOf(process.child->pid(), absl::StrCat(options_.directory, "/", process.name)));
  }
  return out;
}

absl::Status LocalCluster::CheckRunning() {
  for (Process& process : processes_) {
    if (process.may_end || process.child->Running()) continue;
    return absl::UnavailableError(
        absl::StrCat(process.name, " ended with ", process.child->HowItEnded(),
                     process.is_node ? "" : " (is the package etcd-server installed?)",
                     "; its log is ", options_.directory, "/", process.name, ".log"));
  }
  return absl::OkStatus();
}

void LocalCluster::Stop() {
  for (Process& process : processes_) {
    if (!process.is_node || !process.child) continue;
    process.child->Signal(SIGCONT);
    process.child->Signal(SIGTERM);
  }
  const RealClock clock;
  const absl::Time until = clock.Now() + kStopLimit;
  for (Process& process : processes_) {
    if (!process.is_node || !process.child) continue;
    process.child->WaitForEnd(std::max(until - clock.Now(), absl::ZeroDuration()));
  }
  for (Process& process : processes_) End(process);
}

void LocalCluster::End(Process& process) const {
  if (!process.child) return;
  const pid_t number = process.child->pid();
  process.child.reset();
  if (options_.clocks) LocalClock::TidyAfter(number);
}

}  // namespace forebay
