// The MetadataStore of a fleet: etcd (any v3 API), over gRPC.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "metadata/metadata_store.h"

namespace forebay {

struct EtcdOptions {
  // "host:port" of the members, the preferred one first. One is used at a time; when it fails to
  // answer, the next.
  std::vector<std::string> endpoints;
  // Before every key, so that fleets can share an etcd.
  std::string key_prefix = "forebay/";
  absl::Duration timeout = absl::Seconds(2);  // of each call
  // How long a member may take to answer before the next one is tried. Longer when the members
  // prove to be slower than that.
  absl::Duration patience = absl::Milliseconds(400);
  // How often the member in use is asked whether it can answer. A frozen one, or one that is cut
  // off from the others, is left after probe_every + patience.
  absl::Duration probe_every = absl::Milliseconds(250);
};

// A record's version is its mod_revision in etcd. Reads are tried on every member until the
// time-out; a swap is sent once, and is unknown when its answer does not come, also as soon as its
// member is left. Callbacks run on a thread of the store; it must not be destroyed from one.
class EtcdMetadataStore final : public MetadataStore {
 public:
  // INVALID_ARGUMENT: no endpoint, or one without a port. Does not wait for a connection.
  static absl::StatusOr<std::unique_ptr<EtcdMetadataStore>> Create(EtcdOptions options);
  ~EtcdMetadataStore() override;

  void Read(std::string key, ReadDone done) override;
  void List(std::string prefix, ListDone done) override;
  void CompareAndSwap(std::string key, uint64_t version, std::string value, SwapDone done) override;
  void Watch(std::string prefix, Changed changed) override;

 private:
  class Impl;

  explicit EtcdMetadataStore(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace forebay
