// How this project dials and how large a message may be. Brings gRPC.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "forebay/options.h"
#include "rpc/credentials.h"

namespace forebay {

// A block that does not compress, with its header and the message around it.
inline constexpr size_t kBlockMessageBytesMax = EventLimits::kBlockBytesMax + (64 << 10);
// A replica's window holds a few blocks; what is larger than this is never sent.
inline constexpr size_t kPeerMessageBytesMax = 4 * kBlockMessageBytesMax;
// Small messages travel together up to about this size; more gains nothing (hazards, gRPC).
inline constexpr size_t kEnvelopeBytes = 256 << 10;
// What a gRPC message may be: an envelope of full size and one more message that did not fit.
inline constexpr int kReceiveBytesMax = static_cast<int>(kPeerMessageBytesMax + kEnvelopeBytes);

// What strangers may cost us, besides ServerLimits. All headers of a call; a token fits, a file
// does not.
inline constexpr int kHeaderBytesMax = 8 << 10;
// Of what is received and not taken yet, over all connections; beyond, gRPC refuses the newest.
inline constexpr size_t kReceivedBytesMax = size_t{1} << 30;
inline constexpr absl::Duration kHandshakeLimit = absl::Seconds(10);
// A connection without calls is closed after this time, and one that does not answer pings.
inline constexpr absl::Duration kIdleLimit = absl::Minutes(10);
inline constexpr absl::Duration kPingEvery = absl::Seconds(10);

// A connection of its own for each channel. A peer that hangs is noticed after about 4 s, a lost
// one is dialled again after 20 to 500 ms. Without credentials: plaintext. With them, the node
// there must prove to be `peer`, or if that is empty, the host in the address.
std::shared_ptr<grpc::Channel> Dial(const std::string& address, const Credentials* credentials,
                                    const NodeId& peer = {});

}  // namespace forebay
