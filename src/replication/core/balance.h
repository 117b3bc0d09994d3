// Which node hands partitions over to which, so that owners lie evenly on nodes again after some
// were away. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "absl/types/span.h"
#include "records/records.h"

namespace forebay {

// The owners of all partitions, at one moment. Every node sees nearly the same, and each decides
// only about what it owns itself: chances keep them from all choosing the same node at once.
class OwnerBalance {
 public:
  // `nodes`: those that may own. `open`: the open segment of each partition; not null.
  OwnerBalance(absl::Span<const NodeRecord> nodes, const std::vector<const Segment*>& open);

  // Owns so much more than another that it may have to hand over.
  bool IsHeavy(const NodeId& node) const;
  // How likely a partition should go from one replica to another in this round, so that in all
  // rounds together the other gets its share and hardly more. 0: the two are even, by a tenth.
  double Chance(const NodeId& from, const NodeId& to) const;

 private:
  struct Load {
    size_t owned = 0;
    size_t offers = 0;  // partitions that it could get from a node that owns more
  };
  static bool IsUneven(size_t from, size_t to);

  std::map<NodeId, Load> loads_;
  size_t fewest_ = 0;
  size_t share_ = 0;  // partitions per node, rounded up
};

}  // namespace forebay
