// What the process of a node sees to besides serving.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "node/free_memory.h"

namespace forebay {
namespace {

size_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  size_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

// What is left of a burst keeps malloc from giving back the rest by itself.
TEST(FreeMemory, GoesBackToTheSystemOnceTheProcessRests) {
  constexpr size_t kPiece = 16 << 10, kPieces = 4000;
  std::vector<std::string> burst(kPieces);
  FreeMemory memory;
  memory.Look();
  for (std::string& piece : burst) piece.assign(kPiece, 'x');
  for (size_t i = 0; i < kPieces; ++i) {
    if (i % 100 != 99) std::string().swap(burst[i]);
  }
  const size_t kept = ResidentBytes();
  memory.Look();
  memory.Look();
  EXPECT_LT(ResidentBytes() + kPiece * kPieces / 2, kept);
}

}  // namespace
}  // namespace forebay
