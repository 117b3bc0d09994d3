// Certificates for a local cluster, of an authority that is thrown away with them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "forebay/options.h"

namespace forebay {

// Made with the openssl command. Confined to one thread.
class LocalCertificates {
 public:
  // Makes the authority. `folder` is made if need be; keys and certificates stay in it.
  static absl::StatusOr<LocalCertificates> Make(std::string folder);

  // For a node that listens on `host`, an address.
  absl::StatusOr<TlsOptions> ForNode(const std::string& node, const std::string& host) const;
  absl::StatusOr<TlsOptions> ForClient(const std::string& name) const;

 private:
  explicit LocalCertificates(std::string folder) : folder_(std::move(folder)) {}
  absl::StatusOr<TlsOptions> Issue(const std::string& name, const std::string& names) const;
  absl::Status OpenSsl(std::vector<std::string> arguments) const;
  std::string Path(const std::string& file) const { return folder_ + "/" + file; }

  std::string folder_;
};

}  // namespace forebay
