#include "rpc/raw_message.h"

#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace forebay {

absl::Status ParseRaw(const grpc::ByteBuffer& bytes, google::protobuf::Message& message) {
  if (bytes.Length() > kRequestBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("the request takes ", bytes.Length(),
                                                   " bytes, the limit is ", kRequestBytesMax,
                                                   ": send it in several requests"));
  }
  grpc::ByteBuffer read = bytes;  // the same bytes, with one more owner
  if (grpc::GenericDeserialize<grpc::ProtoBufferReader, google::protobuf::Message>(&read, &message)
          .ok()) {
    return absl::OkStatus();
  }
  const std::string& type = message.GetDescriptor()->full_name();
  grpc::ByteBuffer again = bytes;
  grpc::ProtoBufferReader reader(&again);
  google::protobuf::UnknownFieldSet fields;
  if (reader.status().ok() && fields.ParseFromZeroCopyStream(&reader)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request is no ", type,
                     ": a text in it is not UTF-8, or a message in it is cut or of "
                     "another type"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the request is no ", type, ": its bytes are not protobuf, or are cut"));
}

grpc::ByteBuffer SerializeRaw(const google::protobuf::Message& message) {
  grpc::ByteBuffer bytes;
  bool owns = false;
  const grpc::Status status =
      grpc::SerializationTraits<google::protobuf::Message>::Serialize(message, &bytes, &owns);
  FOREBAY_CHECK(status.ok(), status.error_message());
  return bytes;
}

}  // namespace forebay
