#include "node/exit_code.h"

#include <iostream>

#include "base/printable.h"

namespace forebay {

int Fail(const absl::Status& status) {
  std::cerr << "forebay: " << Printable({status.message().data(), status.message().size()})
            << std::endl;
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
