// The bodies of the libFuzzer targets, over the kept corpora and mutations of them. An input that a
// fuzzer found goes into tests/fuzz/corpus and is tried here from then on.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "fuzz/config_fuzz.h"
#include "fuzz/disk_fuzz.h"
#include "fuzz/lines_fuzz.h"
#include "fuzz/wire_fuzz.h"
#include "runtime/random.h"

namespace forebay {
namespace {

// How many inputs the parser took for what they were made as.
int TryCorpus(const std::string& name, bool (*body)(std::string_view)) {
  Random random(20261122);
  int understood = 0;
  const std::filesystem::path folder(FOREBAY_SOURCE_DIR "/tests/fuzz/corpus");
  for (const auto& entry : std::filesystem::directory_iterator(folder / name)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string seed((std::istreambuf_iterator<char>(file)), {});
    EXPECT_FALSE(seed.empty()) << entry.path();
    understood += body(seed) ? 1 : 0;
    for (int round = 0; round < 500; round++) {
      std::string input = seed;
      for (uint64_t flips = 1 + random.Below(4); flips > 0; flips--) {
        input[random.Below(input.size())] = static_cast<char>(random.Next());
      }
      if (random.Chance(0.2)) input.resize(random.Below(input.size() + 1));
      body(input);
    }
  }
  return understood;
}

TEST(Fuzz, ConfigBodyHoldsOverItsCorpus) { EXPECT_GE(TryCorpus("config", FuzzConfig), 2); }
TEST(Fuzz, DiskBodyHoldsOverItsCorpus) { EXPECT_GE(TryCorpus("disk", FuzzDisk), 10); }
TEST(Fuzz, LinesBodyHoldsOverItsCorpus) { EXPECT_GE(TryCorpus("lines", FuzzLines), 3); }
TEST(Fuzz, WireBodyHoldsOverItsCorpus) { EXPECT_GE(TryCorpus("wire", FuzzWire), 7); }

}  // namespace
}  // namespace forebay
