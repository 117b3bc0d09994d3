// Uses what is installed without a node: the events, the settings, the error texts.
#include <iostream>

#include "forebay/buffer.h"
#include "forebay/client.h"

int main() {
  forebay::Event event;
  event.payload = "{}";
  forebay::StreamOptions stream;
  stream.name = forebay::StreamId("web");
  if (const absl::Status status = stream.Validate(); !status.ok()) {
    std::cerr << "the defaults are refused: " << status << "\n";
    return 1;
  }
  stream.ack_copies = stream.copies + 1;
  const absl::Status status = stream.Validate();
  if (status.ok() || status.message().find("ack_copies") == absl::string_view::npos) {
    std::cerr << "more acknowledging copies than copies: " << status << "\n";
    return 1;
  }
  std::cout << "an event of " << event.payload.size() << " bytes; " << status << "\n";
  return 0;
}
