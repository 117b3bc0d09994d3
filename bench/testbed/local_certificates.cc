#include "testbed/local_certificates.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "testbed/child_process.h"

namespace forebay {
namespace {

constexpr char kDays[] = "30";  // more than the longest drill

// A new key for what is made.
std::vector<std::string> WithNewKey(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(),
                   {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"});
  return arguments;
}

}  // namespace

absl::StatusOr<LocalCertificates> LocalCertificates::Make(std::string folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("make ", folder, ": ", error.message()));
  LocalCertificates made(std::move(folder));
  FOREBAY_RETURN_IF_ERROR(
      made.OpenSsl(WithNewKey({"req", "-x509", "-keyout", made.Path("ca.key"), "-out",
                               made.Path("ca.pem"), "-days", kDays, "-subj", "/CN=drill-ca"})));
  return made;
}

absl::StatusOr<TlsOptions> LocalCertificates::ForNode(const std::string& node,
                                                      const std::string& host) const {
  return Issue(node, absl::StrCat("DNS:", node, ".node.forebay,IP:", host));
}

absl::StatusOr<TlsOptions> LocalCertificates::ForClient(const std::string& name) const {
  return Issue(name, "DNS:" + name);
}

absl::StatusOr<TlsOptions> LocalCertificates::Issue(const std::string& name,
                                                    const std::string& names) const {
  const std::string extensions = Path(name + ".extensions");
  if (!(std::ofstream(extensions) << "subjectAltName=" << names << std::endl)) {
    return absl::UnavailableError("cannot write " + extensions);
  }
  const TlsOptions tls{
      .certificate = Path(name + ".pem"), .key = Path(name + ".key"), .ca = Path("ca.pem")};
  const std::string request = Path(name + ".csr");
  FOREBAY_RETURN_IF_ERROR(
      OpenSsl(WithNewKey({"req", "-keyout", tls.key, "-out", request, "-subj", "/CN=" + name})));
  FOREBAY_RETURN_IF_ERROR(OpenSsl({"x509", "-req", "-in", request, "-CA", tls.ca, "-CAkey",
                                   Path("ca.key"), "-CAcreateserial", "-days", kDays, "-out",
                                   tls.certificate, "-extfile", extensions}));
  return tls;
}

absl::Status LocalCertificates::OpenSsl(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), "openssl");
  return RunCommand({.command = std::move(arguments), .log = Path("openssl.log")});
}

}  // namespace forebay
