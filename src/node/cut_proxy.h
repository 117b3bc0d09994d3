// A TCP proxy that can be cut: it then forwards nothing and closes nothing, as a broken network
// does. What it has taken and what its clients send meanwhile arrives after it is healed.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

struct pollfd;

namespace forebay {

// Confined to one thread. All addresses are on the loopback interface.
class CutProxy {
 public:
  CutProxy();
  ~CutProxy();

  // Starts to listen, and forwards to 127.0.0.1:`target_port`. Answers the port it listens on.
  absl::StatusOr<uint16_t> AddRoute(const std::string& name, uint16_t target_port);
  // NOT_FOUND: no such route.
  absl::Status SetCut(const std::string& name, bool cut);

  // Waits until `control` is readable or something can be forwarded, and forwards it. True when
  // `control` is readable.
  bool RunOnce(int control);

 private:
  struct Connection;
  struct Route;

  void Accept(Route& route);
  void AddPolls(Route& route, std::vector<pollfd>& polls);
  void Forward(Route& route);

  std::map<std::string, std::unique_ptr<Route>> routes_;
};

// The hidden command `forebay proxy`: reads "route NAME PORT", "cut NAME", "heal NAME" from stdin
// and answers each with "ok PORT", "ok" or "error ...". Ends with its input. Answers the exit code.
int RunProxyCommand();

}  // namespace forebay
