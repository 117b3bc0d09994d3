// EtcdClient: calls to the etcd member that answers. Brings generated code.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "etcd/etcd.grpc.pb.h"
#include "forebay/clock.h"
#include "metadata/etcd/etcd_metadata_store.h"
#include "runtime/executor.h"
#include "runtime/mutex.h"

namespace forebay {

// Counts calls that gRPC is not done with. A call counts until its context is gone: contexts hold
// their channel, and gRPC 1.51 crashes when the last channel of a process is destroyed on one of
// its own threads, which then joins itself.
class UnderWay {
 public:
  // `call` ends with its last reference.
  template <typename Call>
  static std::shared_ptr<Call> Add(std::shared_ptr<UnderWay> under_way, Call* call) {
    under_way->Begin();
    return std::shared_ptr<Call>(call, [under_way = std::move(under_way)](Call* ended) {
      delete ended;
      under_way->End();
    });
  }
  void WaitForNone();

 private:
  void Begin();
  void End();

  Mutex mutex_;
  CondVar changed_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The same code and message.
absl::Status EtcdStatus(const grpc::Status& status);

// Confined to `home` but for WaitForNone. Calls end on `home`; none ends after Close.
class EtcdClient {
 public:
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // `moved` is called after every change of the member in use.
  EtcdClient(Clock& clock, Executor& home, EtcdOptions options, std::function<void()> moved);

  // Starts to look after the member in use.
  void Start();
  // Linearizable. Tried on one member after the other until the time-out.
  void Read(etcdserverpb::RangeRequest request, Done<etcdserverpb::RangeResponse> done);
  // Sent once. Any error means that the outcome is unknown.
  void Swap(etcdserverpb::TxnRequest request, Done<etcdserverpb::TxnResponse> done);

  etcdserverpb::Watch::Stub& watch_stub() { return *members_[in_use_].watch; }
  const std::string& address() const { return members_[in_use_].address; }
  // Counts the changes of the member in use.
  uint64_t generation() const { return generation_; }
  // Leaves the member of that generation, if it is still in use. What it has not answered ends.
  void MoveOn(uint64_t generation);
  // Shared with the calls it counts.
  std::shared_ptr<UnderWay> under_way() { return under_way_; }
  // Ends everything without calling back.
  void Close();

 private:
  struct Member {
    std::string address;
    std::unique_ptr<etcdserverpb::KV::Stub> kv;
    std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  };
  struct ReadUnderWay;
  template <typename Request, typename Response>
  struct Call;

  // One try on the member in use. `start` hands the call to gRPC.
  template <typename Request, typename Response, typename StartCall>
  void Try(Request request, absl::Duration limit, StartCall start, Done<Response> done);
  void TryRange(etcdserverpb::RangeRequest request, absl::Duration limit,
                Done<etcdserverpb::RangeResponse> done);
  void TryRead(std::shared_ptr<ReadUnderWay> read);
  void Probe();
  void ProbeLater(absl::Duration wait);

  Clock& clock_;
  Executor& home_;
  const EtcdOptions options_;
  const std::function<void()> moved_;
  const std::shared_ptr<UnderWay> under_way_ = std::make_shared<UnderWay>();
  std::vector<Member> members_;
  size_t in_use_ = 0;
  uint64_t generation_ = 0;
  // Grows while no member answers, and follows how long answers take.
  absl::Duration patience_;
  size_t probes_failed_ = 0;  // in a row
  bool closed_ = false;
  uint64_t next_call_ = 0;
  std::map<uint64_t, std::shared_ptr<grpc::ClientContext>> calls_;
};

}  // namespace forebay
