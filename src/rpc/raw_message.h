// Messages that we parse ourselves: gRPC answers what it cannot parse with UNIMPLEMENTED and an
// empty message.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace forebay {

// Of one request: events of 4 MiB with room for what is around each. Over this it is refused before
// it is parsed; over kReceiveBytesMax gRPC refuses it, with RESOURCE_EXHAUSTED.
inline constexpr size_t kRequestBytesMax = 8 << 20;

// INVALID_ARGUMENT says what is wrong with the bytes, as far as one can see.
absl::Status ParseRaw(const grpc::ByteBuffer& bytes, google::protobuf::Message& message);

template <typename Message>
absl::StatusOr<std::unique_ptr<Message>> ParseRaw(const grpc::ByteBuffer& bytes) {
  auto message = std::make_unique<Message>();
  if (absl::Status status = ParseRaw(bytes, *message); !status.ok()) return status;
  return message;
}

grpc::ByteBuffer SerializeRaw(const google::protobuf::Message& message);

}  // namespace forebay
