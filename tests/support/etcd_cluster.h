// A real etcd cluster on loopback, for tests.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace forebay {

// Members are numbered from 0. Their data is in a temporary folder that goes away with the cluster,
// and so do the processes, also when this process dies. Used by one thread, which must live as
// long.
class EtcdCluster {
 public:
  struct Options {
    int members = 3;
    int heartbeat_ms = 50;
    int election_ms = 500;
  };

  // Why there can be no cluster here ("no program 'etcd'"); nothing if there can.
  static std::optional<std::string> WhyNot();
  // Starts all members and waits until they have a leader; nullptr after 60 s.
  static std::unique_ptr<EtcdCluster> Start(Options options);
  ~EtcdCluster();

  std::vector<std::string> endpoints() const;  // "127.0.0.1:PORT" of each member
  std::vector<pid_t> pids() const;
  // The member that leads, once there is one. Asks those that answer.
  int WaitForLeader();
  void WaitUntilHealthy(int member);

  void Kill(int member);  // SIGKILL
  void StartAgain(int member);
  void Freeze(int member);  // SIGSTOP
  void Thaw(int member);    // SIGCONT

  // Deletes a key, as an operator would.
  void Delete(const std::string& key);

 private:
  struct Member {
    int client_port = 0, peer_port = 0;
    pid_t pid = 0;
    bool frozen = false;
  };

  EtcdCluster() = default;
  void Spawn(int member);
  bool Healthy(int member);
  // The body of the answer to an HTTP request; empty when there is none within a second.
  std::string Ask(int member, const std::string& request) const;
  std::string Post(int member, const std::string& path, const std::string& json) const;

  Options options_;
  std::string folder_;
  std::vector<Member> members_;
};

}  // namespace forebay
