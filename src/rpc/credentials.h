// Credentials: how this process shows who it is, and whose word it takes.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "forebay/ids.h"
#include "forebay/options.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace forebay {

// The DNS name in the certificate of a node. Only the holder of such a certificate is taken for
// that node.
std::string CertificateNameOf(const NodeId& node);

// Thread-safe. Shared by all connections of a process, because it watches the files.
class Credentials {
 public:
  // Null without TLS. Otherwise reads the files once: INVALID_ARGUMENT says which is missing, does
  // not fit the others or has expired, and, with `node` given, does not name that node. With
  // `token_file`, shows the token in it.
  static absl::StatusOr<std::shared_ptr<const Credentials>> Load(
      const TlsOptions& tls, const NodeId& node = {}, const std::string& token_file = "");

  const std::shared_ptr<grpc::ChannelCredentials>& channel() const { return channel_; }
  // Null if there is no certificate.
  const std::shared_ptr<grpc::ServerCredentials>& server() const { return server_; }

 private:
  Credentials() = default;
  std::shared_ptr<grpc::ChannelCredentials> channel_;  // shared: gRPC's own way
  std::shared_ptr<grpc::ServerCredentials> server_;
};

}  // namespace forebay
