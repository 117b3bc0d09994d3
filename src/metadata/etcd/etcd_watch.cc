#include "metadata/etcd/etcd_watch.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "metadata/key_range.h"
#include "rpc/client_stream.h"
#include "runtime/log.h"

namespace forebay {
namespace {

constexpr absl::Duration kBreather = absl::Milliseconds(50);

}  // namespace

class EtcdWatch::Stream final
    : public ClientStream<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse> {
 public:
  Stream(Executor& home, std::weak_ptr<EtcdWatch> watch, uint64_t attempt,
         etcdserverpb::WatchRequest request)
      : home_(home), watch_(std::move(watch)), attempt_(attempt), request_(std::move(request)) {}

  void Start(etcdserverpb::Watch::Stub& stub) {
    Begin([&stub](grpc::ClientContext* context, auto* reactor) {
      stub.async()->Watch(context, reactor);
    });
  }

 private:
  bool Next(etcdserverpb::WatchRequest& request) override {
    if (std::exchange(asked_, true)) return false;
    request = std::move(request_);
    return true;
  }
  bool OnResponse(etcdserverpb::WatchResponse& response) override {
    home_.Post([watch = watch_, attempt = attempt_, response = std::move(response)] {
      if (const auto alive = watch.lock()) alive->OnResponse(attempt, response);
    });
    response.Clear();
    return true;
  }
  void OnEnd(const grpc::Status& status) override {
    home_.Post([watch = watch_, attempt = attempt_, status = EtcdStatus(status)] {
      if (const auto alive = watch.lock()) alive->OnEnd(attempt, status);
    });
  }

  Executor& home_;
  const std::weak_ptr<EtcdWatch> watch_;
  const uint64_t attempt_;
  etcdserverpb::WatchRequest request_;
  bool asked_ = false;
};

EtcdWatch::EtcdWatch(Executor& home, EtcdClient& client, std::string key_prefix, std::string prefix,
                     MetadataStore::Changed changed)
    : home_(home),
      client_(client),
      key_prefix_(std::move(key_prefix)),
      prefix_(key_prefix_ + prefix),
      changed_(std::move(changed)) {}

void EtcdWatch::Start() {
  if (closed_) return;
  etcdserverpb::RangeRequest request;
  request.set_key(prefix_);
  request.set_range_end(PrefixEnd(prefix_));
  client_.Read(std::move(request),
               [watch = shared_from_this()](auto response) { watch->OnList(std::move(response)); });
}

void EtcdWatch::OnMoved() {
  // A list under way moves by itself.
  if (stream_ == nullptr || closed_) return;
  Stop();
  Start();
}

void EtcdWatch::Close() {
  closed_ = true;
  Stop();
}

void EtcdWatch::Stop() {
  attempt_++;
  if (stream_ != nullptr) stream_->End();
  stream_ = nullptr;
}

void EtcdWatch::BeginAgain() {
  Stop();
  home_.PostAfter(kBreather, [watch = shared_from_this()] { watch->Start(); });
}

void EtcdWatch::OnList(absl::StatusOr<etcdserverpb::RangeResponse> response) {
  if (closed_) return;
  if (!response.ok()) {
    BeginAgain();
    return;
  }
  std::vector<MetadataRecord> news;
  std::set<std::string> there;
  for (const etcdserverpb::KeyValue& kv : response->kvs()) {
    there.insert(kv.key());
    Note(kv, false, news);
  }
  for (auto at = versions_.begin(); at != versions_.end();) {
    if (there.contains(at->first)) {
      ++at;
      continue;
    }
    news.push_back({at->first.substr(key_prefix_.size()), "", 0});
    at = versions_.erase(at);
  }
  if (!news.empty() || !told_) changed_(std::move(news));
  told_ = true;

  etcdserverpb::WatchRequest request;
  etcdserverpb::WatchCreateRequest& create = *request.mutable_create_request();
  create.set_key(prefix_);
  create.set_range_end(PrefixEnd(prefix_));
  create.set_start_revision(response->header().revision() + 1);
  stream_ = UnderWay::Add(client_.under_way(),
                          new Stream(home_, weak_from_this(), ++attempt_, std::move(request)));
  stream_->Start(client_.watch_stub());
}

void EtcdWatch::OnResponse(uint64_t attempt, const etcdserverpb::WatchResponse& response) {
  if (attempt != attempt_ || closed_) return;
  if (response.canceled()) {
    Log(LogLevel::kInfo,
        absl::StrCat("etcd ", client_.address(),
                     " ended a watch, beginning again: ", response.cancel_reason()));
    BeginAgain();
    return;
  }
  std::vector<MetadataRecord> news;
  for (const etcdserverpb::Event& event : response.events()) {
    Note(event.kv(), event.type() == etcdserverpb::Event::DELETE, news);
  }
  if (!news.empty()) changed_(std::move(news));
}

void EtcdWatch::OnEnd(uint64_t attempt, const absl::Status&) {
  // Why it ended is no news: the client's probe tells when nobody answers any more.
  if (attempt == attempt_ && !closed_) BeginAgain();
}

void EtcdWatch::Note(const etcdserverpb::KeyValue& kv, bool deleted,
                     std::vector<MetadataRecord>& news) {
  const uint64_t version = static_cast<uint64_t>(kv.mod_revision());
  const auto known = versions_.find(kv.key());
  if (known != versions_.end() && version <= known->second) return;
  std::string key = kv.key().substr(key_prefix_.size());
  if (!deleted) {
    versions_[kv.key()] = version;
    news.push_back({std::move(key), kv.value(), version});
  } else if (known != versions_.end()) {
    versions_.erase(known);
    news.push_back({std::move(key), "", 0});
  }
}

}  // namespace forebay
