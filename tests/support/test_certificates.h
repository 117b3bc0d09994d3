// A certificate authority of the test's own, made with the openssl command.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "forebay/options.h"
#include "support/temporary_folder.h"

namespace forebay {

class TestAuthority {
 public:
  TestAuthority() {
    Run(absl::StrCat("req -x509 ", kNewKey,
                     " -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca"));
  }

  std::string ca() const { return Path("ca.pem"); }
  std::string Path(const std::string& file) const { return folder_.path() + "/" + file; }

  // A certificate with common name `name` and the subject alternative names, as "DNS:x,IP:y".
  TlsOptions Issue(const std::string& name, const std::string& names, int days = 2) const {
    Run(absl::StrCat("req ", kNewKey, " -keyout ", name, ".key -out ", name,
                     ".csr -subj /CN=", name));
    Run(absl::StrCat("x509 -req -in ", name, ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days ",
                     days, " -out ", name, ".pem -extfile /dev/stdin <<< 'subjectAltName=", names,
                     "'"));
    return {.certificate = Path(name + ".pem"), .key = Path(name + ".key"), .ca = ca()};
  }
  // For a node on this machine.
  TlsOptions IssueForNode(const std::string& node) const {
    return Issue(node, absl::StrCat("DNS:", node, ".node.forebay,IP:127.0.0.1"));
  }
  TlsOptions IssueForClient(const std::string& name) const { return Issue(name, "DNS:" + name); }

 private:
  static constexpr char kNewKey[] = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

  void Run(const std::string& arguments) const {
    const std::string command = absl::StrCat("cd ", folder_.path(), " && bash -c \"openssl ",
                                             arguments, "\" > openssl.log 2>&1");
    if (std::system(command.c_str()) != 0) ADD_FAILURE() << command << ": see openssl.log";
  }

  const TemporaryFolder folder_;
};

}  // namespace forebay
