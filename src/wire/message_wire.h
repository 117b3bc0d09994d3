// Peer messages as proto/forebay/v1/peer.proto. Brings generated code.
#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "forebay/v1/peer.pb.h"
#include "replication/core/message.h"

namespace forebay {

void ToWire(const Message& message, v1::PeerMessage& wire);
// Takes the blocks' bytes out of `wire` and verifies each block. INVALID_ARGUMENT: not a message of
// this version. DATA_LOSS: a damaged block.
absl::StatusOr<Message> FromWire(v1::PeerMessage& wire);

// About what it takes in memory and on the wire.
size_t MessageBytes(const Message& message);

}  // namespace forebay
