// LocalNetwork: a network namespace for each zone, and a router between them that can drop what one
// sends to or gets from the others. What is dropped is gone, as in a real network: who waits for it
// sends again, and later each time.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "forebay/ids.h"

namespace forebay {

// Confined to one thread, which must have called Allow. The router is that thread's own network:
// from there every zone is reached whatever is cut. Everything is gone with its processes.
class LocalNetwork {
 public:
  // Puts this thread, and what it starts from now on, into a network of its own, from which nothing
  // else is reached: no other thread may have connections. FAILED_PRECONDITION says why it cannot
  // be done here, and nothing has changed.
  static absl::Status Allow();
  // At most 9 zones. `log`: what the commands say.
  static absl::StatusOr<std::unique_ptr<LocalNetwork>> Make(const std::vector<ZoneId>& zones,
                                                            std::string log);
  ~LocalNetwork();

  // Of all that runs in a zone.
  std::string HostOf(const ZoneId& zone) const;
  // For ChildProcess::Options.
  int NamespaceOf(const ZoneId& zone) const;
  // What passes from now on between a zone and the others.
  absl::Status SetCut(const ZoneId& zone, bool outgoing, bool incoming);

 private:
  struct Zone {
    ZoneId name;
    int network = -1;
    bool outgoing_cut = false;
    bool incoming_cut = false;
  };

  explicit LocalNetwork(std::string log) : log_(std::move(log)) {}
  absl::Status Connect(const Zone& zone);
  size_t IndexOf(const ZoneId& zone) const;

  const std::string log_;
  std::vector<Zone> zones_;
};

}  // namespace forebay
