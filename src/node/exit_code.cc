#include "node/exit_code.h"

#include <iostream>

namespace forebay {

int Fail(const absl::Status& status) {
  std::cerr << "forebay: " << std::string(status.message()) << std::endl;
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
      return kExitUsage;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return kExitUnavailable;
    default:
      return kExitFailed;
  }
}

}  // namespace forebay
