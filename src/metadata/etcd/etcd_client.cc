#include "metadata/etcd/etcd_client.h"

#include <grpc/support/time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "runtime/log.h"

namespace forebay {
namespace {

// Between tries when no member has answered, so as not to spin while connections are refused.
constexpr absl::Duration kBreather = absl::Milliseconds(50);

std::shared_ptr<grpc::Channel> DialEtcd(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // a list may be long
  // A swap must not be sent twice behind our back.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // No keepalive pings: etcd closes connections that ping more often than every 5 s. The probe sees
  // more: also a member that lives but has lost the others.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

gpr_timespec FromNow(absl::Duration limit) {
  return gpr_time_from_millis(std::max<int64_t>(1, absl::ToInt64Milliseconds(limit)), GPR_TIMESPAN);
}

// Whether another member, or the same one later, may give a better answer.
bool WorthAnotherTry(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
      return false;
    default:
      return true;
  }
}

}  // namespace

void UnderWay::Begin() {
  MutexLock lock(mutex_);
  count_++;
}

void UnderWay::End() {
  MutexLock lock(mutex_);
  if (--count_ == 0) changed_.SignalAll();
}

void UnderWay::WaitForNone() {
  MutexLock lock(mutex_);
  while (count_ > 0) changed_.Wait(mutex_);
}

absl::Status EtcdStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

template <typename Request, typename Response>
struct EtcdClient::Call {
  grpc::ClientContext context;
  Request request;
  Response response;
  Done<Response> done;
};

struct EtcdClient::ReadUnderWay {
  etcdserverpb::RangeRequest request;
  Done<etcdserverpb::RangeResponse> done;
  absl::Time until;
  size_t tries = 0;
  absl::Status last_error;
};

EtcdClient::EtcdClient(Clock& clock, Executor& home, EtcdOptions options,
                       std::function<void()> moved)
    : clock_(clock),
      home_(home),
      options_(std::move(options)),
      moved_(std::move(moved)),
      patience_(options_.patience) {
  for (const std::string& address : options_.endpoints) {
    const auto channel = DialEtcd(address);
    members_.push_back(
        {address, etcdserverpb::KV::NewStub(channel), etcdserverpb::Watch::NewStub(channel)});
  }
}

void EtcdClient::Start() { Probe(); }

template <typename Request, typename Response, typename StartCall>
void EtcdClient::Try(Request request, absl::Duration limit, StartCall start, Done<Response> done) {
  if (closed_) return;
  // Shared with gRPC's callback and with `calls_`.
  const auto call = UnderWay::Add(under_way_, new Call<Request, Response>);
  call->request = std::move(request);
  call->done = std::move(done);
  call->context.set_deadline(FromNow(limit));
  const uint64_t id = next_call_++;
  calls_[id] = std::shared_ptr<grpc::ClientContext>(call, &call->context);
  start(*members_[in_use_].kv->async(), *call,
        [this, call, id, address = address()](const grpc::Status& status) {
          home_.Post([this, call, id, address, status] {
            if (closed_) return;
            calls_.erase(id);
            if (status.ok()) {
              call->done(std::move(call->response));
            } else {
              call->done(WithContext(EtcdStatus(status), "etcd ", address));
            }
          });
        });
}

void EtcdClient::TryRange(etcdserverpb::RangeRequest request, absl::Duration limit,
                          Done<etcdserverpb::RangeResponse> done) {
  Try<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>(
      std::move(request), limit,
      [](auto& kv, auto& call, auto ended) {
        kv.Range(&call.context, &call.request, &call.response, std::move(ended));
      },
      std::move(done));
}

void EtcdClient::Read(etcdserverpb::RangeRequest request, Done<etcdserverpb::RangeResponse> done) {
  auto read = std::make_shared<ReadUnderWay>();
  read->request = std::move(request);
  read->done = std::move(done);
  read->until = clock_.Now() + options_.timeout;
  TryRead(std::move(read));
}

void EtcdClient::TryRead(std::shared_ptr<ReadUnderWay> read) {
  const absl::Duration left = read->until - clock_.Now();
  if (left <= absl::ZeroDuration()) {
    read->done(absl::DeadlineExceededError(absl::StrCat("no member of etcd answered within ",
                                                        absl::FormatDuration(options_.timeout),
                                                        "; last: ", read->last_error.message())));
    return;
  }
  const uint64_t generation = generation_;
  TryRange(read->request, std::min(left, patience_),
           [this, read, generation](absl::StatusOr<etcdserverpb::RangeResponse> response) {
             if (response.ok() || !WorthAnotherTry(response.status())) {
               read->done(std::move(response));
               return;
             }
             read->last_error = response.status();
             MoveOn(generation);
             if (++read->tries % members_.size() != 0) {
               TryRead(read);
             } else {
               home_.PostAfter(kBreather, [this, read] { TryRead(read); });
             }
           });
}

void EtcdClient::Swap(etcdserverpb::TxnRequest request, Done<etcdserverpb::TxnResponse> done) {
  const uint64_t generation = generation_;
  Try<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>(
      std::move(request), options_.timeout,
      [](auto& kv, auto& call, auto ended) {
        kv.Txn(&call.context, &call.request, &call.response, std::move(ended));
      },
      [this, generation,
       done = std::move(done)](absl::StatusOr<etcdserverpb::TxnResponse> response) mutable {
        if (!response.ok() && WorthAnotherTry(response.status())) MoveOn(generation);
        done(std::move(response));
      });
}

void EtcdClient::MoveOn(uint64_t generation) {
  if (generation != generation_ || closed_) return;
  generation_++;
  in_use_ = (in_use_ + 1) % members_.size();
  for (const auto& [id, context] : calls_) context->TryCancel();
  moved_();
}

void EtcdClient::Probe() {
  if (closed_) return;
  etcdserverpb::RangeRequest request;
  request.set_key(options_.key_prefix);
  request.set_count_only(true);
  const uint64_t generation = generation_;
  const absl::Time started = clock_.Now();
  TryRange(std::move(request), patience_,
           [this, generation, started](absl::StatusOr<etcdserverpb::RangeResponse> response) {
             if (response.ok()) {
               if (probes_failed_ >= members_.size()) Log(LogLevel::kInfo, "etcd answers again");
               probes_failed_ = 0;
               // Four times what it takes now: a slow etcd is not left for being slow.
               patience_ = std::clamp(4 * (clock_.Now() - started), options_.patience,
                                      std::max(options_.timeout, options_.patience));
               ProbeLater(options_.probe_every);
               return;
             }
             if (++probes_failed_ == members_.size()) {
               Log(LogLevel::kWarning, absl::StrCat("no member of etcd answers, trying on: ",
                                                    std::string(response.status().message())));
             }
             MoveOn(generation);
             if (probes_failed_ % members_.size() != 0) {
               Probe();
               return;
             }
             patience_ = std::min(2 * patience_, std::max(options_.timeout, options_.patience));
             ProbeLater(kBreather);
           });
}

void EtcdClient::ProbeLater(absl::Duration wait) {
  home_.PostAfter(wait, [this] { Probe(); });
}

void EtcdClient::Close() {
  closed_ = true;
  for (const auto& [id, context] : calls_) context->TryCancel();
  calls_.clear();
}

}  // namespace forebay
