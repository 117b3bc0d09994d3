#include "metadata/etcd/etcd_metadata_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "metadata/etcd/etcd_client.h"
#include "metadata/etcd/etcd_watch.h"
#include "metadata/key_range.h"
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"

namespace forebay {

// Everything happens on the thread of `home_`; gRPC's threads only post to it.
class EtcdMetadataStore::Impl {
 public:
  explicit Impl(EtcdOptions options)
      : key_prefix_(options.key_prefix),
        client_(clock_, home_, std::move(options), [this] { OnMoved(); }) {
    home_.Post([this] { client_.Start(); });
  }

  ~Impl() {
    Mutex mutex;
    CondVar changed;
    bool closed = false;
    home_.Post([&] {
      client_.Close();
      for (const auto& watch : watches_) watch->Close();
      MutexLock lock(mutex);
      closed = true;
      changed.SignalAll();
    });
    {
      MutexLock lock(mutex);
      while (!closed) changed.Wait(mutex);
    }
    client_.under_way()->WaitForNone();
    home_.Stop();
  }

  void Read(std::string key, ReadDone done) {
    home_.Post([this, key = std::move(key), done = std::move(done)]() mutable {
      etcdserverpb::RangeRequest request;
      request.set_key(key_prefix_ + key);
      client_.Read(std::move(request),
                   [this, done = std::move(done)](
                       absl::StatusOr<etcdserverpb::RangeResponse> response) mutable {
                     if (!response.ok()) return done(response.status());
                     if (response->kvs().empty()) return done(std::nullopt);
                     done(Record(response->kvs(0)));
                   });
    });
  }

  void List(std::string prefix, ListDone done) {
    home_.Post([this, prefix = std::move(prefix), done = std::move(done)]() mutable {
      etcdserverpb::RangeRequest request;
      request.set_key(key_prefix_ + prefix);
      request.set_range_end(PrefixEnd(request.key()));
      client_.Read(std::move(request),
                   [this, done = std::move(done)](
                       absl::StatusOr<etcdserverpb::RangeResponse> response) mutable {
                     if (!response.ok()) return done(response.status());
                     std::vector<MetadataRecord> records;
                     for (const auto& kv : response->kvs()) records.push_back(Record(kv));
                     done(std::move(records));
                   });
    });
  }

  void CompareAndSwap(std::string key, uint64_t version, std::string value, SwapDone done) {
    home_.Post([this, key = std::move(key), version, value = std::move(value),
                done = std::move(done)]() mutable {
      etcdserverpb::TxnRequest request;
      etcdserverpb::Compare& compare = *request.add_compare();
      compare.set_target(etcdserverpb::Compare::MOD);
      compare.set_key(key_prefix_ + key);
      compare.set_mod_revision(static_cast<int64_t>(version));
      etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
      put.set_key(compare.key());
      put.set_value(std::move(value));
      client_.Swap(std::move(request),
                   [key = std::move(key), version, done = std::move(done)](
                       absl::StatusOr<etcdserverpb::TxnResponse> response) mutable {
                     done(Outcome(key, version, response));
                   });
    });
  }

  void Watch(std::string prefix, Changed changed) {
    home_.Post([this, prefix = std::move(prefix), changed = std::move(changed)]() mutable {
      watches_.push_back(std::make_shared<EtcdWatch>(home_, client_, key_prefix_, std::move(prefix),
                                                     std::move(changed)));
      watches_.back()->Start();
    });
  }

 private:
  static SwapResult Outcome(const std::string& key, uint64_t version,
                            const absl::StatusOr<etcdserverpb::TxnResponse>& response) {
    if (response.ok()) {
      if (response->succeeded()) return static_cast<uint64_t>(response->header().revision());
      return absl::AbortedError(absl::StrCat("record ", key, " is not at version ", version));
    }
    // It may have taken effect, or do so yet. ABORTED is only what the comparison says.
    absl::StatusCode code = response.status().code();
    if (code == absl::StatusCode::kAborted || code == absl::StatusCode::kCancelled) {
      code = absl::StatusCode::kUnavailable;
    }
    return absl::Status(code, absl::StrCat("swap of record ", key, ": outcome unknown: ",
                                           std::string(response.status().message())));
  }

  MetadataRecord Record(const etcdserverpb::KeyValue& kv) const {
    return {kv.key().substr(key_prefix_.size()), kv.value(),
            static_cast<uint64_t>(kv.mod_revision())};
  }

  void OnMoved() {
    for (const auto& watch : watches_) watch->OnMoved();
  }

  const std::string key_prefix_;
  RealClock clock_;
  // Of the thread, but for the construction.
  std::vector<std::shared_ptr<EtcdWatch>> watches_;  // shared with their callbacks under way
  ThreadExecutor home_{"etcd"};
  EtcdClient client_;
};

absl::StatusOr<std::unique_ptr<EtcdMetadataStore>> EtcdMetadataStore::Create(EtcdOptions options) {
  if (options.endpoints.empty()) {
    return absl::InvalidArgumentError(
        "metadata: etcd has no endpoint; give etcd:HOST:PORT,HOST:PORT,...");
  }
  for (const std::string& endpoint : options.endpoints) {
    const size_t colon = endpoint.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == endpoint.size() ||
        endpoint.find('/') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("metadata: etcd endpoint '", endpoint,
                                                     "' is not HOST:PORT (without http://)"));
    }
  }
  if (PrefixEnd(options.key_prefix).empty()) {
    return absl::InvalidArgumentError("metadata: etcd needs a key prefix that is not empty");
  }
  return std::unique_ptr<EtcdMetadataStore>(
      new EtcdMetadataStore(std::make_unique<Impl>(std::move(options))));
}

EtcdMetadataStore::EtcdMetadataStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EtcdMetadataStore::~EtcdMetadataStore() = default;

void EtcdMetadataStore::Read(std::string key, ReadDone done) {
  impl_->Read(std::move(key), std::move(done));
}
void EtcdMetadataStore::List(std::string prefix, ListDone done) {
  impl_->List(std::move(prefix), std::move(done));
}
void EtcdMetadataStore::CompareAndSwap(std::string key, uint64_t version, std::string value,
                                       SwapDone done) {
  impl_->CompareAndSwap(std::move(key), version, std::move(value), std::move(done));
}
void EtcdMetadataStore::Watch(std::string prefix, Changed changed) {
  impl_->Watch(std::move(prefix), std::move(changed));
}

}  // namespace forebay
