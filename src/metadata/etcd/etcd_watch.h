// EtcdWatch: what changes under a prefix, over any number of connections.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "metadata/etcd/etcd_client.h"
#include "metadata/metadata_store.h"
#include "runtime/executor.h"

namespace forebay {

// Confined to `home`. It lists first, tells what differs from what it told before, then streams
// what changes after the list; when the stream breaks it begins again, so nothing is missed and
// etcd's compaction does not matter.
class EtcdWatch : public std::enable_shared_from_this<EtcdWatch> {
 public:
  // `prefix` and the keys in etcd begin with `key_prefix`, the keys told do not.
  EtcdWatch(Executor& home, EtcdClient& client, std::string key_prefix, std::string prefix,
            MetadataStore::Changed changed);

  void Start();
  // The client uses another member now.
  void OnMoved();
  void Close();

 private:
  class Stream;

  void OnList(absl::StatusOr<etcdserverpb::RangeResponse> response);
  void OnResponse(uint64_t attempt, const etcdserverpb::WatchResponse& response);
  void OnEnd(uint64_t attempt, const absl::Status& status);
  void BeginAgain();
  void Stop();
  // Notes the change and adds it to `news`, unless it is older than what was told.
  void Note(const etcdserverpb::KeyValue& kv, bool deleted, std::vector<MetadataRecord>& news);

  Executor& home_;
  EtcdClient& client_;
  const std::string key_prefix_;
  const std::string prefix_;
  MetadataStore::Changed changed_;
  bool told_ = false;
  bool closed_ = false;
  uint64_t attempt_ = 0;                      // news of earlier streams do not count
  std::map<std::string, uint64_t> versions_;  // of what was told and exists
  std::shared_ptr<Stream> stream_;            // nullptr while listing; shared with gRPC
};

}  // namespace forebay
