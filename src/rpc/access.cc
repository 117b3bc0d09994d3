#include "rpc/access.h"

#include <grpc/grpc_security_constants.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/printable.h"
#include "base/status.h"
#include "rpc/credentials.h"

namespace forebay {
namespace {

constexpr char kBearer[] = "Bearer ";
constexpr char kHowToShow[] =
    "show a certificate that the nodes' tls.ca has signed, or a token that their access rules know";

const char* NameOf(Role role) {
  switch (role) {
    case Role::kAppend:
      return "append";
    case Role::kRead:
      return "read";
    case Role::kAdmin:
      break;
  }
  return "admin";
}

const std::vector<std::string>& StreamsOf(const AccessRule& rule, Role role) {
  switch (role) {
    case Role::kAppend:
      return rule.append;
    case Role::kRead:
      return rule.read;
    case Role::kAdmin:
      break;
  }
  return rule.admin;
}

std::string Sha256(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return {reinterpret_cast<const char*>(digest), sizeof digest};
}

void AddNames(const grpc::AuthContext& context, const char* property,
              std::vector<std::string>& names) {
  for (const grpc::string_ref& value : context.FindPropertyValues(property)) {
    names.emplace_back(value.data(), value.size());
  }
}

bool IsNodeName(const std::string& name) {
  return absl::EndsWith(name, CertificateNameOf(NodeId()));
}

}  // namespace

bool Caller::Has(Role role, const std::string& stream) const {
  if (shown_.may_do_all) return true;
  // A node brings appends to their owners; for whom, the node that took them in has checked.
  if (role == Role::kAppend && std::any_of(shown_.names.begin(), shown_.names.end(), IsNodeName))
    return true;
  return std::any_of(shown_.rules.begin(), shown_.rules.end(), [&](const auto& rule) {
    const std::vector<std::string>& streams = StreamsOf(*rule, role);
    return std::any_of(streams.begin(), streams.end(), [&](const std::string& allowed) {
      return allowed == "*" || allowed == stream;
    });
  });
}

absl::Status Caller::Denied(const std::string& missing) const {
  return absl::PermissionDeniedError(
      absl::StrCat(shown_.who, " ", missing, ": the nodes' access rules decide"));
}

absl::Status Caller::CheckRole(Role role, const StreamId& stream) const {
  if (Has(role, stream.value())) return absl::OkStatus();
  return Denied(absl::StrCat("needs the role '", NameOf(role), "' on stream '",
                             forebay::Shown(stream.value()), "'"));
}

absl::Status Caller::CheckAdmin() const {
  if (Has(Role::kAdmin, "*")) return absl::OkStatus();
  return Denied("needs the role 'admin' on all streams ('*')");
}

bool Caller::MaySee(const StreamId& stream) const {
  return Has(Role::kAppend, stream.value()) || Has(Role::kRead, stream.value()) ||
         Has(Role::kAdmin, stream.value());
}

absl::Status Caller::CheckMaySee(const StreamId& stream) const {
  if (MaySee(stream)) return absl::OkStatus();
  return Denied(absl::StrCat("needs a role on stream '", forebay::Shown(stream.value()), "'"));
}

absl::Status Caller::CheckIsNode(const NodeId& node) const {
  const std::string name = CertificateNameOf(node);
  if (!shown_.is_known ||
      std::find(shown_.names.begin(), shown_.names.end(), name) != shown_.names.end()) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(absl::StrCat(shown_.who, " is not node '",
                                                  forebay::Shown(node.value()),
                                                  "': its certificate needs the subject "
                                                  "alternative name DNS:",
                                                  name));
}

Access::Access(bool has_tls, const std::vector<AccessRule>& rules) : has_tls_(has_tls) {
  for (const AccessRule& rule : rules) rules_.push_back(std::make_shared<AccessRule>(rule));
}

absl::StatusOr<Caller> Access::Recognize(const grpc::ServerContextBase& context) const {
  Caller::Shown shown;
  shown.may_do_all = rules_.empty();
  shown.is_known = has_tls_;
  if (!has_tls_) return Caller(std::move(shown));
  const auto token = context.client_metadata().find("authorization");
  if (token != context.client_metadata().end()) {
    const absl::Status status = RecognizeToken({token->second.data(), token->second.size()}, shown);
    if (!status.ok()) return status;
    return Caller(std::move(shown));
  }
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) {
    return absl::UnauthenticatedError(absl::StrCat("nobody knows who calls: ", kHowToShow));
  }
  AddNames(*peer, "peer_dns", shown.names);
  AddNames(*peer, "peer_uri", shown.names);
  AddNames(*peer, GRPC_X509_CN_PROPERTY_NAME, shown.names);
  for (const auto& rule : rules_) {
    const bool named =
        std::find(shown.names.begin(), shown.names.end(), rule->name) != shown.names.end();
    if (named && rule->token_sha256.empty()) shown.rules.push_back(rule);
  }
  shown.who = absl::StrCat("the holder of certificate '", absl::StrJoin(shown.names, "', '"), "'");
  return Caller(std::move(shown));
}

absl::Status Access::Check(const grpc::ServerContextBase& context, Role role,
                           const StreamId& stream) const {
  const absl::StatusOr<Caller> caller = Recognize(context);
  return caller.ok() ? caller->CheckRole(role, stream) : caller.status();
}

absl::Status Access::CheckAdmin(const grpc::ServerContextBase& context) const {
  const absl::StatusOr<Caller> caller = Recognize(context);
  return caller.ok() ? caller->CheckAdmin() : caller.status();
}

absl::Status Access::RecognizeToken(const std::string& header, Caller::Shown& shown) const {
  if (!absl::StartsWith(header, kBearer)) {
    return absl::UnauthenticatedError("the authorization header must be 'Bearer ' and a token");
  }
  const std::string digest = Sha256(header.substr(sizeof kBearer - 1));
  for (const auto& rule : rules_) {
    const std::string known = absl::HexStringToBytes(rule->token_sha256);
    // In constant time, so that a guess is no better for being nearly right.
    if (known.size() != digest.size() ||
        CRYPTO_memcmp(known.data(), digest.data(), digest.size()) != 0) {
      continue;
    }
    shown.rules.push_back(rule);
    shown.who = absl::StrCat("the holder of a token of '", rule->name, "'");
  }
  if (shown.rules.empty()) {
    return absl::UnauthenticatedError(absl::StrCat("nobody knows this token: ", kHowToShow));
  }
  return absl::OkStatus();
}

}  // namespace forebay
