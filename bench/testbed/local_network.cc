#include "testbed/local_network.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status.h"
#include "testbed/child_process.h"

namespace forebay {
namespace {

// Of the zones: 10.77.1.1, 10.77.2.1, ... The router's ends are elsewhere, so that a rule about
// zones is not about clients.
constexpr char kZones[] = "10.77.0.0/16";
std::string HostOfZone(size_t index) { return absl::StrCat("10.77.", index + 1, ".1"); }
std::string RouterOfZone(size_t index) { return absl::StrCat("10.76.", index + 1, ".1"); }

// That of this thread.
absl::StatusOr<int> OpenNetwork() {
  const int network = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (network >= 0) return network;
  return absl::UnavailableError(absl::StrCat("open a network namespace: ", std::strerror(errno)));
}

absl::Status Ip(const std::string& arguments, const std::string& log, int network = -1) {
  std::vector<std::string> command = absl::StrSplit(arguments, ' ');
  command.insert(command.begin(), "ip");
  return RunCommand({.command = std::move(command), .log = log, .network = network});
}

absl::Status SetUpRouter() {
  // Answers may come another way than questions went while one of them is cut.
  for (const char* setting : {"ip_forward=1", "conf/all/rp_filter=0", "conf/default/rp_filter=0"}) {
    const std::pair<std::string, std::string> words = absl::StrSplit(setting, '=');
    if (std::ofstream("/proc/sys/net/ipv4/" + words.first) << words.second << std::flush) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("cannot set net.ipv4.", words.first, " in a network namespace"));
  }
  for (const char* step :
       {"link set lo up", "link add probe type veth peer name probed", "link del probe",
        "rule add pref 1 from 10.76.0.1 to 10.76.0.2 blackhole", "rule del pref 1"}) {
    const absl::Status done = Ip(step, "/dev/null");
    if (done.ok()) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "'ip ", step, "' failed: it needs Debian's package iproute2, and a kernel with ",
        "veth and policy routing"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LocalNetwork::Allow() {
  if (::geteuid() != 0) return absl::FailedPreconditionError("network namespaces need root");
  const absl::StatusOr<int> before = OpenNetwork();
  if (!before.ok()) return absl::FailedPreconditionError(before.status().message());
  absl::Status allowed;
  if (::unshare(CLONE_NEWNET) != 0) {
    allowed =
        absl::FailedPreconditionError(absl::StrCat("a network namespace: ", std::strerror(errno)));
  } else if (allowed = SetUpRouter(); !allowed.ok()) {
    FOREBAY_CHECK(::setns(*before, CLONE_NEWNET) == 0, std::strerror(errno));
  }
  ::close(*before);
  return allowed;
}

absl::StatusOr<std::unique_ptr<LocalNetwork>> LocalNetwork::Make(const std::vector<ZoneId>& zones,
                                                                 std::string log) {
  std::unique_ptr<LocalNetwork> made(new LocalNetwork(std::move(log)));
  const absl::StatusOr<int> router = OpenNetwork();
  if (!router.ok()) return router.status();
  absl::Status status;
  // Not by ip-netns, whose names all of the machine would see.
  for (const ZoneId& zone : zones) {
    if (::unshare(CLONE_NEWNET) != 0) {
      status = absl::UnavailableError(
          absl::StrCat("a network namespace for zone ", zone.value(), ": ", std::strerror(errno)));
      break;
    }
    const absl::StatusOr<int> network = OpenNetwork();
    FOREBAY_CHECK(::setns(*router, CLONE_NEWNET) == 0, std::strerror(errno));
    if (!network.ok()) {
      status = network.status();
      break;
    }
    made->zones_.push_back({.name = zone, .network = *network});
    status = made->Connect(made->zones_.back());
    if (!status.ok()) break;
  }
  ::close(*router);
  if (!status.ok()) return status;
  return made;
}

LocalNetwork::~LocalNetwork() {
  for (const Zone& zone : zones_) ::close(zone.network);
}

absl::Status LocalNetwork::Connect(const Zone& zone) {
  const size_t index = IndexOf(zone.name);
  const std::string link = absl::StrCat("zone-", zone.name.value());
  const std::string host = HostOfZone(index), router = RouterOfZone(index);
  for (const std::string& step :
       {absl::StrCat("link add ", link, " type veth peer name uplink netns /proc/", ::getpid(),
                     "/fd/", zone.network),
        absl::StrCat("addr add ", router, " peer ", host, " dev ", link),
        absl::StrCat("link set ", link, " up")}) {
    FOREBAY_RETURN_IF_ERROR(Ip(step, log_));
  }
  for (const std::string& step :
       {std::string("link set lo up"),
        absl::StrCat("addr add ", host, " peer ", router, " dev uplink"),
        std::string("link set uplink up"), absl::StrCat("route add default via ", router)}) {
    FOREBAY_RETURN_IF_ERROR(Ip(step, log_, zone.network));
  }
  return absl::OkStatus();
}

size_t LocalNetwork::IndexOf(const ZoneId& zone) const {
  size_t index = 0;
  while (index < zones_.size() && zones_[index].name != zone) ++index;
  FOREBAY_CHECK(index < zones_.size(), zone.value());
  return index;
}

std::string LocalNetwork::HostOf(const ZoneId& zone) const { return HostOfZone(IndexOf(zone)); }
int LocalNetwork::NamespaceOf(const ZoneId& zone) const { return zones_[IndexOf(zone)].network; }

// A rule each way. The router drops what it should not forward, and tells nobody.
absl::Status LocalNetwork::SetCut(const ZoneId& name, bool outgoing, bool incoming) {
  const size_t index = IndexOf(name);
  const std::string host = HostOfZone(index);
  Zone& zone = zones_[index];
  const auto set = [&](bool& is, bool wanted, size_t preference, const std::string& from,
                       const std::string& to) -> absl::Status {
    if (is == wanted) return absl::OkStatus();
    FOREBAY_RETURN_IF_ERROR(Ip(absl::StrCat("rule ", wanted ? "add" : "del", " pref ", preference,
                                            " from ", from, " to ", to, " blackhole"),
                               log_));
    is = wanted;
    return absl::OkStatus();
  };
  FOREBAY_RETURN_IF_ERROR(set(zone.outgoing_cut, outgoing, 100 + 2 * index, host, kZones));
  return set(zone.incoming_cut, incoming, 101 + 2 * index, kZones, host);
}

}  // namespace forebay
