// What can be wrong with certificate files, said before a connection fails of it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "forebay/options.h"

namespace forebay {

// Reads the files. The key fits the certificate, the certificate is signed by `ca` and valid today,
// and has the DNS name `name` (empty: any). INVALID_ARGUMENT names the file; never what is in it.
absl::Status CheckPem(const TlsOptions& tls, const std::string& name);

}  // namespace forebay
