// A node in this process takes one event, and says when it is durable.
#include <iostream>

#include "forebay/buffer.h"

int main() {
  forebay::BufferOptions options;
  options.node = forebay::NodeId("laptop");
  options.zone = forebay::ZoneId("zone-a");
  options.data_directory = "forebay-data";
  options.metadata = "sqlite:forebay-metadata.db";
  // One copy, as there is one node. In a fleet the defaults hold: 3 copies, 2 zones to acknowledge.
  options.streams = {
      {.name = forebay::StreamId("web"), .copies = 1, .ack_copies = 1, .ack_zones = 1}};
  auto buffer = forebay::Buffer::Open(options);
  if (!buffer.ok()) {
    std::cerr << buffer.status() << "\n";
    return 1;
  }
  forebay::Event event;
  event.payload = R"({"page": "/"})";
  const auto result = (*buffer)->Append(forebay::StreamId("web"), event);
  std::cout << result.status << ", " << result.partition << " at " << result.offset << "\n";
  return (*buffer)->Close(absl::Seconds(5)).ok() && result.status.ok() ? 0 : 1;
}
