#include "rpc/credentials.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "rpc/pem_check.h"

namespace forebay {
namespace {

using grpc::experimental::FileWatcherCertificateProvider;

// How often the files are looked at.
constexpr unsigned kReloadSeconds = 2;

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  std::ifstream file(path);
  std::string token;
  // Only what a header may hold, so that no part of it comes back in an error of gRPC.
  if (file >> token && std::all_of(token.begin(), token.end(),
                                   [](unsigned char c) { return std::isgraph(c) != 0; })) {
    return token;
  }
  return absl::InvalidArgumentError(absl::StrCat("token_file '", path, "' holds no token"));
}

}  // namespace

std::string CertificateNameOf(const NodeId& node) {
  return absl::StrCat(node.value(), ".node.forebay");
}

absl::StatusOr<std::shared_ptr<const Credentials>> Credentials::Load(
    const TlsOptions& tls, const NodeId& node, const std::string& token_file) {
  if (!tls.enabled()) {
    if (token_file.empty()) return nullptr;
    return absl::InvalidArgumentError("a token is never sent in the clear: set tls.ca as well");
  }
  FOREBAY_RETURN_IF_ERROR(tls.Validate(/*certificate_required=*/!node.empty()));
  FOREBAY_RETURN_IF_ERROR(CheckPem(tls, node.empty() ? "" : CertificateNameOf(node)));
  // Shared with gRPC, which asks it at every handshake.
  const auto files = std::make_shared<FileWatcherCertificateProvider>(tls.key, tls.certificate,
                                                                      tls.ca, kReloadSeconds);
  const std::shared_ptr<Credentials> credentials(new Credentials());
  grpc::experimental::TlsChannelCredentialsOptions channel;
  channel.set_certificate_provider(files);
  channel.watch_root_certs();
  if (!tls.certificate.empty()) channel.watch_identity_key_cert_pairs();
  credentials->channel_ = grpc::experimental::TlsCredentials(channel);
  if (!token_file.empty()) {
    const absl::StatusOr<std::string> token = ReadToken(token_file);
    if (!token.ok()) return token.status();
    credentials->channel_ = grpc::CompositeChannelCredentials(credentials->channel_,
                                                              grpc::AccessTokenCredentials(*token));
  }
  if (!tls.certificate.empty()) {
    grpc::experimental::TlsServerCredentialsOptions server(files);
    server.watch_root_certs();
    server.watch_identity_key_cert_pairs();
    // A caller without a certificate is told so by us; a refused handshake says nothing.
    server.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
    credentials->server_ = grpc::experimental::TlsServerCredentials(server);
  }
  return credentials;
}

}  // namespace forebay
