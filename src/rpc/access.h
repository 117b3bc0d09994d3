// Access: who calls, and what they may do.
#pragma once

#include <grpcpp/server_context.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "forebay/ids.h"
#include "forebay/options.h"

namespace forebay {

enum class Role { kAppend, kRead, kAdmin };

// One who calls.
class Caller {
 public:
  struct Shown {
    std::string who;                                       // for messages
    bool may_do_all = false;                               // there are no rules
    bool is_known = true;                                  // false: plaintext, nobody is
    std::vector<std::string> names;                        // in its certificate
    std::vector<std::shared_ptr<const AccessRule>> rules;  // shared with Access
  };
  explicit Caller(Shown shown) : shown_(std::move(shown)) {}

  // OK, or PERMISSION_DENIED, which says who was recognized and which role is missing.
  absl::Status CheckRole(Role role, const StreamId& stream) const;
  // What concerns a whole node.
  absl::Status CheckAdmin() const;
  // Whether it has any role on the stream.
  bool MaySee(const StreamId& stream) const;
  absl::Status CheckMaySee(const StreamId& stream) const;
  // Only a node may speak for itself as a peer, with or without rules.
  absl::Status CheckIsNode(const NodeId& node) const;

 private:
  bool Has(Role role, const std::string& stream) const;
  absl::Status Denied(const std::string& missing) const;

  Shown shown_;
};

// Thread-safe.
class Access {
 public:
  // Without TLS nobody can be told apart, and everybody may do everything. With TLS and no rules
  // everybody with a certificate may.
  Access(bool has_tls, const std::vector<AccessRule>& rules);

  // UNAUTHENTICATED: neither a certificate nor a token that we know.
  absl::StatusOr<Caller> Recognize(const grpc::ServerContextBase& context) const;
  // That, and the caller's CheckRole.
  absl::Status Check(const grpc::ServerContextBase& context, Role role,
                     const StreamId& stream) const;
  // And its CheckAdmin.
  absl::Status CheckAdmin(const grpc::ServerContextBase& context) const;

 private:
  absl::Status RecognizeToken(const std::string& header, Caller::Shown& shown) const;

  const bool has_tls_;
  std::vector<std::shared_ptr<const AccessRule>> rules_;
};

}  // namespace forebay
