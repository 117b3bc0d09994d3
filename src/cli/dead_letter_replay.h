// Reading the dead letters of a stream, and appending them again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/remote_cluster.h"
#include "drain/dead_letter.h"

namespace forebay {

struct FoundDeadLetter {
  struct Place {
    PartitionId partition;  // of the dead-letter stream
    Offset offset;
  };
  Place at;
  DeadLetter letter;  // whole: parts are joined
};

// What is done with the events of a dead-letter stream.
struct DeadLetterVisitor {
  std::function<absl::Status(const FoundDeadLetter&)> letter;
  // An event that is no dead letter of the stream; anyone with the right may append such there.
  std::function<void(const FoundDeadLetter::Place&, const absl::Status& why)> foreign;
};

// In order, one partition after the other; ends with the first error of `visitor.letter`.
absl::Status ForEachDeadLetter(RemoteCluster& cluster, const StreamId& stream, absl::Duration limit,
                               const DeadLetterVisitor& visitor);

// Confined to one thread.
class DeadLetterReplay {
 public:
  // Every replay fails if the files of `nodes.tls` are not right.
  DeadLetterReplay(const RemoteNodes& nodes, absl::Duration limit);
  ~DeadLetterReplay();

  // Appends it to the partition it came from. Its place in the dead-letter stream makes the
  // producer's identity, so that a repeat takes effect once.
  absl::Status Replay(const FoundDeadLetter& found);
  uint64_t replayed() const { return replayed_; }

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
  const absl::Duration limit_;
  uint64_t replayed_ = 0;
};

}  // namespace forebay
