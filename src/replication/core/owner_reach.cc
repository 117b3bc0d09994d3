// OwnerCore: how far its blocks have come, for the stages' times.
#include <algorithm>
#include <vector>

#include "replication/core/owner.h"
#include "replication/core/quorum.h"

namespace forebay {

OwnerReach OwnerCore::reach() const {
  OwnerReach reach{
      .sent = segment_.base, .own = readable(), .mirrored = {}, .committed = committed_};
  std::vector<Offset> tails;
  for (size_t i = 0; i < progress_.size(); i++) {
    const bool self = segment_.replicas[i].node == segment_.owner;
    if (self) reach.own = progress_[i].tail;
    reach.sent = std::max(reach.sent, progress_[i].sent);
    tails.push_back(self ? next_ : progress_[i].tail);
  }
  reach.mirrored = std::max(
      committed_, HighestAckedOffset(segment_.rule, segment_.replicas, tails).value_or(committed_));
  return reach;
}

}  // namespace forebay
