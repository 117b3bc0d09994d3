// etcd v3 over gRPC: one transaction with one put per event. The key is the event's id, so an event
// that is sent again replaces itself.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "compare/answer_queue.h"
#include "compare/peer.h"
#include "etcd/etcd.grpc.pb.h"

namespace forebay::compare {
namespace {

constexpr int kReadBackKeys = 1000;
// Longer than any answer is waited for.
constexpr auto kCallLimit = std::chrono::seconds(20);

struct Call {
  grpc::ClientContext context;
  etcdserverpb::TxnRequest request;
  etcdserverpb::TxnResponse response;
};

std::shared_ptr<grpc::Channel> Dial(const std::string& address, int number) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("forebay.compare.publisher", number);  // a connection of its own
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// What callbacks still use when a publisher, or the peer, is gone.
struct Shared {
  AnswerQueue answers;
  std::atomic<bool> unreachable{false};  // a call failed for want of a connection
};

class EtcdPublisher final : public Publisher {
 public:
  EtcdPublisher(std::shared_ptr<grpc::Channel> channel, std::string prefix,
                std::shared_ptr<std::atomic<int64_t>> calls)
      : channel_(std::move(channel)),
        stub_(etcdserverpb::KV::NewStub(channel_)),
        prefix_(std::move(prefix)),
        calls_(std::move(calls)) {}

  absl::Status Send(Ticket ticket, std::string_view event) override {
    auto* const call = new Call;  // the callback's
    call->context.set_deadline(std::chrono::system_clock::now() + kCallLimit);
    auto* put = call->request.add_success()->mutable_request_put();
    // The 16 digits of the id.
    put->set_key(absl::StrCat(prefix_, "/", std::string(event.substr(7, 16))));
    put->set_value(event.data(), event.size());
    calls_->fetch_add(1);
    stub_->async()->Txn(
        &call->context, &call->request, &call->response,
        [call, ticket, shared = shared_, calls = calls_](const grpc::Status& status) {
          delete call;
          if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
            shared->unreachable = true;
          }
          shared->answers.Add(ticket, status.ok());
          calls->fetch_sub(1);
        });
    return absl::OkStatus();
  }
  absl::Status Flush() override { return absl::OkStatus(); }
  absl::Status Poll(absl::Duration limit, std::vector<Answer>& answers) override {
    shared_->answers.Take(limit, answers);
    // Without a leader a member says UNAVAILABLE as well, but stays connected.
    if (shared_->unreachable.exchange(false) && channel_->GetState(false) != GRPC_CHANNEL_READY) {
      return absl::UnavailableError("etcd: the connection was closed");
    }
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<etcdserverpb::KV::Stub> stub_;
  const std::string prefix_;
  const std::shared_ptr<std::atomic<int64_t>> calls_;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

class EtcdPeer final : public Peer {
 public:
  explicit EtcdPeer(const PeerOptions& options) : options_(options) {}
  // Callbacks must not run while the process ends.
  ~EtcdPeer() override {
    while (calls_->load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  absl::StatusOr<std::unique_ptr<Publisher>> Connect(uint32_t publisher, size_t attempt) override {
    const auto channel =
        Dial(options_.addresses[attempt % options_.addresses.size()], static_cast<int>(publisher));
    {
      MutexLock lock(mutex_);
      channels_.push_back(channel);
    }
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(1))) {
      return absl::UnavailableError("etcd: cannot connect");
    }
    return std::make_unique<EtcdPublisher>(channel, options_.name, calls_);
  }

  absl::Status ReadBack(const std::function<void(std::string_view)>& show) override {
    const auto stub = etcdserverpb::KV::NewStub(Dial(options_.addresses.front(), -1));
    // Pages by the leading digits of the id: the service that we know has no limit on a range.
    for (int publisher = 0; publisher < 256; ++publisher) {
      for (int64_t page = 0;; ++page) {
        const auto key = [&](int64_t first) {
          return absl::StrCat(options_.name, "/",
                              absl::StrFormat("%016x", (int64_t{publisher} << 40) + first));
        };
        etcdserverpb::RangeRequest request;
        request.set_key(key(page * kReadBackKeys));
        request.set_range_end(key((page + 1) * kReadBackKeys));
        etcdserverpb::RangeResponse response;
        grpc::ClientContext context;
        const grpc::Status status = stub->Range(&context, request, &response);
        if (!status.ok()) return absl::UnavailableError("etcd: " + status.error_message());
        for (const auto& found : response.kvs()) show(found.value());
        if (response.kvs().empty()) break;
      }
    }
    return absl::OkStatus();
  }
  // What is sent again replaces itself, so it may be soon.
  absl::Duration answer_limit() const override { return absl::Seconds(2); }

 private:
  const PeerOptions options_;
  const std::shared_ptr<std::atomic<int64_t>> calls_ = std::make_shared<std::atomic<int64_t>>(0);
  Mutex mutex_;
  // All there ever were: the last reference to one must not go away in a callback of gRPC.
  std::vector<std::shared_ptr<grpc::Channel>> channels_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<Peer> MakePeer(const PeerOptions& options) {
  return std::make_unique<EtcdPeer>(options);
}

}  // namespace forebay::compare
