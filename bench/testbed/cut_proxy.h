// A TCP proxy that can be cut, in one direction or both: it then forwards nothing that way and
// closes nothing, as a broken network does. What it has taken and what is sent meanwhile arrives
// after it is healed.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "runtime/mutex.h"
#include "runtime/thread_executor.h"

struct pollfd;

namespace forebay {

// Which bytes of a route's connections pass.
struct Passes {
  bool forth = true;  // from who connects to who listens
  bool back = true;
};

// Confined to one thread. All addresses are on the loopback interface.
class CutProxy {
 public:
  CutProxy();
  ~CutProxy();

  // Starts to listen, and forwards to 127.0.0.1:`target_port`. Answers the port it listens on.
  absl::StatusOr<uint16_t> AddRoute(const std::string& name, uint16_t target_port);
  // What passes from now on. New connections are made only while both directions do: a handshake
  // needs them. NOT_FOUND: no such route.
  absl::Status SetPasses(const std::string& name, Passes passes);

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

// A CutProxy at work on a thread of its own. To be used from one thread.
class RunningCutProxy {
 public:
  static absl::StatusOr<std::unique_ptr<RunningCutProxy>> Start();
  ~RunningCutProxy();

  absl::StatusOr<uint16_t> AddRoute(const std::string& name, uint16_t target_port);
  absl::Status SetPasses(const std::string& name, Passes passes);

 private:
  using Request = std::function<void(CutProxy&)>;

  RunningCutProxy(int wake, int woken) : wake_(wake), woken_(woken) {}
  void Run();
  // Has `request` done on the thread, and waits for it.
  void Ask(Request request);
  void Wake() const;

  const int wake_, woken_;  // the ends of a pipe: a byte for each request, and one for the end
  CutProxy proxy_;          // on the thread only
  Mutex mutex_;
  CondVar done_;
  Request request_ ABSL_GUARDED_BY(mutex_);
  ThreadExecutor thread_{"cut-proxy"};  // stops before what it uses
};

}  // namespace forebay
