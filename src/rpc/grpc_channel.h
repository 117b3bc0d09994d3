// How this project dials and how large a message may be. Inside rpc only.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "forebay/options.h"

namespace forebay {

// Of the wire between nodes and clients; rises when an older build would misunderstand a newer one.
inline constexpr uint32_t kProtocolVersion = 1;

// A block that does not compress, with its header and the message around it.
inline constexpr size_t kBlockMessageBytesMax = EventLimits::kBlockBytesMax + (64 << 10);
// A replica's window holds a few blocks; what is larger than this is never sent.
inline constexpr size_t kPeerMessageBytesMax = 4 * kBlockMessageBytesMax;
// Small messages travel together up to about this size; more gains nothing (hazards, gRPC).
inline constexpr size_t kEnvelopeBytes = 256 << 10;
// What a gRPC message may be: an envelope of full size and one more message that did not fit.
inline constexpr int kReceiveBytesMax = static_cast<int>(kPeerMessageBytesMax + kEnvelopeBytes);

// A connection of its own for each channel. A peer that hangs is noticed after about 4 s, a lost
// one is dialled again after 20 to 500 ms.
std::shared_ptr<grpc::Channel> Dial(const std::string& address);

}  // namespace forebay
