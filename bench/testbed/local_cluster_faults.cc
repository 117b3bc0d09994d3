// What can be done to a local cluster.
#include <signal.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "testbed/local_cluster.h"

namespace forebay {
namespace {

constexpr absl::Duration kKillLimit = absl::Seconds(10);
constexpr absl::Duration kRetireLimit = absl::Seconds(30);

// What passes on a route between `from` and `to` when `zone` is cut like that.
Passes PassesOf(bool from_zone, Cut cut) {
  if (cut == Cut::kNone) return {};
  if (cut == Cut::kBoth) return {.forth = false, .back = false};
  const bool back = from_zone == (cut == Cut::kOutgoing);
  return {.forth = !back, .back = back};
}

}  // namespace

absl::Status LocalCluster::Break(const ZoneId& zone, Fault fault) {
  broken_ = zone;
  fault_ = fault;
  // The nodes stand behind the etcd members; they go first, as nothing warns them.
  for (auto process = processes_.rbegin(); process != processes_.rend(); ++process) {
    if (process->zone != zone || fault == Fault::kNone) continue;
    if (fault == Fault::kCut) continue;
    process->may_end = fault == Fault::kKill;
    process->child->Signal(fault == Fault::kKill ? SIGKILL : SIGSTOP);
  }
  return fault == Fault::kCut ? SetCut(zone, Cut::kBoth) : absl::OkStatus();
}

absl::Status LocalCluster::Heal() {
  for (Process& process : processes_) {
    if (process.zone != broken_) continue;
    if (fault_ == Fault::kKill) {
      process.child->WaitForEnd(kKillLimit);
      FOREBAY_RETURN_IF_ERROR(StartProcess(process));
    } else if (fault_ == Fault::kFreeze) {
      process.child->Signal(SIGCONT);
    }
  }
  if (fault_ == Fault::kCut) FOREBAY_RETURN_IF_ERROR(SetCut(broken_, Cut::kNone));
  fault_ = Fault::kNone;
  broken_ = ZoneId();
  return absl::OkStatus();
}

LocalCluster::Process& LocalCluster::Find(const std::string& name) {
  return const_cast<Process&>(std::as_const(*this).Find(name));
}

const LocalCluster::Process& LocalCluster::Find(const std::string& name) const {
  for (const Process& process : processes_) {
    if (process.name == name) return process;
  }
  CheckFailed(__FILE__, __LINE__, "the process exists", name);
}

void LocalCluster::Kill(const std::string& name) {
  Process& process = Find(name);
  process.may_end = true;
  process.child->Signal(SIGKILL);
}

void LocalCluster::Freeze(const std::string& name) { Find(name).child->Signal(SIGSTOP); }
void LocalCluster::Thaw(const std::string& name) { Find(name).child->Signal(SIGCONT); }

void LocalCluster::AskToStop(const std::string& name) {
  Process& process = Find(name);
  process.may_end = true;
  process.child->Signal(SIGTERM);
}

bool LocalCluster::Ended(const std::string& name) { return !Find(name).child->Running(); }

absl::Status LocalCluster::Start(const std::string& name) {
  Process& process = Find(name);
  if (!process.child->WaitForEnd(kKillLimit)) {
    return absl::UnavailableError(absl::StrCat(name, " does not end"));
  }
  return StartProcess(process);
}

absl::Status LocalCluster::Join(const std::string& spare) {
  Process& node = Find(spare);
  node.is_spare = false;
  return StartProcess(node);
}

absl::Status LocalCluster::Retire(const std::string& name) {
  AskToStop(name);
  Process& node = Find(name);
  if (!node.child->WaitForEnd(kRetireLimit)) {
    return absl::UnavailableError(absl::StrCat(name, " does not end"));
  }
  node.is_spare = true;
  std::error_code error;
  const std::string folder = absl::StrCat(options_.directory, "/", name);
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::filesystem::remove_all(entry.path(), error);
  }
  return error ? absl::UnavailableError(absl::StrCat("empty ", folder, ": ", error.message()))
               : absl::OkStatus();
}

absl::Status LocalCluster::SetCut(const ZoneId& zone, Cut cut) {
  if (network_ != nullptr) {
    return network_->SetCut(zone, /*outgoing=*/cut == Cut::kBoth || cut == Cut::kOutgoing,
                            /*incoming=*/cut == Cut::kBoth || cut == Cut::kIncoming);
  }
  // The peers of an etcd member are not behind the proxy: one that is cut off is as good as
  // stopped.
  if (options_.etcd) {
    const std::string member = "etcd-" + zone.value();
    cut == Cut::kBoth ? Freeze(member) : Thaw(member);
  }
  for (const Route& route : routes_) {
    if (route.from != zone && route.to != zone) continue;
    FOREBAY_RETURN_IF_ERROR(proxy_->SetPasses(route.name, PassesOf(route.from == zone, cut)));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::CutPower(const std::vector<std::string>& nodes) {
  // Stopped first, so that nobody sees another's disk fail, and nothing is done after the cut.
  for (const std::string& name : nodes) Freeze(name);
  for (const std::string& name : nodes) FOREBAY_RETURN_IF_ERROR(Find(name).disk->CutPower());
  for (const std::string& name : nodes) Kill(name);
  return absl::OkStatus();
}

absl::Status LocalCluster::RestorePower(const std::vector<std::string>& nodes) {
  for (const std::string& name : nodes) {
    Process& node = Find(name);
    if (!node.child->WaitForEnd(kKillLimit)) {
      return absl::UnavailableError(absl::StrCat(name, " does not end"));
    }
    FOREBAY_RETURN_IF_ERROR(WithContext(node.disk->RestorePower(), "restore ", name));
  }
  for (const std::string& name : nodes) FOREBAY_RETURN_IF_ERROR(StartProcess(Find(name)));
  return absl::OkStatus();
}

absl::Status LocalCluster::FillDisk(const std::string& name) {
  Process& node = Find(name);
  node.may_end = true;
  return node.disk->Fill();
}

absl::Status LocalCluster::MakeRoom(const std::string& name) {
  Process& node = Find(name);
  FOREBAY_RETURN_IF_ERROR(node.disk->MakeRoom());
  if (!node.child->Running()) return StartProcess(node);
  node.may_end = false;
  return absl::OkStatus();
}

LocalClock LocalCluster::ClockOf(const Process& node) const {
  return LocalClock(absl::StrCat(options_.directory, "/", node.name, ".clock"));
}

absl::Status LocalCluster::SetClockOff(const std::string& name, absl::Duration by) {
  return ClockOf(Find(name)).SetOff(by);
}

}  // namespace forebay
