// The node's numbers for Prometheus. Their names are listed in docs/OPERATIONS.md.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "buffer/node_assembly.h"

namespace forebay {

class NodeMetrics {
 public:
  // Serves /metrics at "host:port". UNAVAILABLE: cannot listen there. The node must outlive it, and
  // must not be closed before it is gone.
  static absl::StatusOr<std::unique_ptr<NodeMetrics>> Serve(const std::string& listen,
                                                            NodeAssembly& node);
  virtual ~NodeMetrics() = default;
};

}  // namespace forebay
