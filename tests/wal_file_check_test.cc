#include "wal/wal_file_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/checksum.h"

namespace forebay {
namespace {

constexpr size_t kBlock = 32 << 10;

// Writes a log as RocksDB does.
class WalFile : public testing::Test {
 protected:
  // A record of one write, with so many bytes of payload.
  void AddRecord(size_t payload_bytes, char fill = 'x') {
    ends_.push_back(file_.size());
    std::string payload = Number(sequence_++, 8) + Number(1, 4) + std::string(payload_bytes, fill);
    bool first = true;
    while (first || !payload.empty()) {
      size_t left = kBlock - file_.size() % kBlock;
      if (left < 7) {
        file_.append(left, '\0');
        left = kBlock;
      }
      const size_t length = std::min(left - 7, payload.size());
      const bool last = length == payload.size();
      AddFragment(first ? (last ? 1 : 2) : (last ? 4 : 3), payload.substr(0, length));
      payload.erase(0, length);
      first = false;
    }
  }
  void AddFragment(char type, const std::string& payload) {
    const uint32_t crc = Crc32c(type + payload);
    file_ += Number(((crc >> 15) | (crc << 17)) + 0xa282ead8U, 4) + Number(payload.size(), 2) +
             type + payload;
  }
  static std::string Number(uint64_t value, size_t size) {
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
    return bytes;
  }
  size_t LastStart() const { return ends_.back(); }
  WalFileVerdict::Kind Check() const { return CheckWalFile(file_).kind; }

  std::string file_;
  std::vector<size_t> ends_;
  uint64_t sequence_ = 100;
};

TEST_F(WalFile, WholeWhenEveryRecordIsThere) {
  EXPECT_EQ(Check(), WalFileVerdict::kWhole);
  for (const size_t bytes : {10, 100'000, 5, 32'749, 32'742, 1, 70'000}) AddRecord(bytes);
  EXPECT_EQ(Check(), WalFileVerdict::kWhole);
  EXPECT_EQ(CheckWalFile(file_).good_end, file_.size());
}

TEST_F(WalFile, TornWhenItEndsInItsLastRecord) {
  AddRecord(1000);
  AddRecord(100'000);
  for (size_t size = LastStart() + 1; size < file_.size(); size += 1234) {
    const WalFileVerdict verdict = CheckWalFile(std::string_view(file_).substr(0, size));
    EXPECT_EQ(verdict.kind, WalFileVerdict::kTorn) << size;
    EXPECT_EQ(verdict.good_end, LastStart());
  }
}

TEST_F(WalFile, TornWhenPagesOfTheLastRecordNeverCame) {
  AddRecord(1000);
  AddRecord(100'000);
  std::fill(file_.begin() + 8192, file_.begin() + 16384, '\0');
  EXPECT_EQ(Check(), WalFileVerdict::kTorn);
  std::fill(file_.begin() + static_cast<std::ptrdiff_t>(LastStart()), file_.end(), '\0');
  EXPECT_EQ(Check(), WalFileVerdict::kTorn);
  EXPECT_EQ(CheckWalFile(file_).good_end, LastStart());
}

// H17: RocksDB skips zeroed pages without a word.
TEST_F(WalFile, DamagedWhenPagesAreZeroAndARecordFollows) {
  AddRecord(1000);
  AddRecord(100'000);
  AddRecord(10);
  std::fill(file_.begin() + 8192, file_.begin() + 16384, '\0');
  EXPECT_EQ(Check(), WalFileVerdict::kDamaged);
  EXPECT_EQ(CheckWalFile(file_).good_end, ends_[1]);
}

TEST_F(WalFile, DamagedWhenARecordIsGoneWithoutATrace) {
  AddRecord(100);
  ++sequence_;
  AddRecord(100);
  EXPECT_EQ(Check(), WalFileVerdict::kDamaged);
}

// H17: whichever bit it is, also in the last record, which may have been acknowledged.
TEST_F(WalFile, DamagedWhenAnyBitIsFlipped) {
  for (const size_t bytes : {20, 40'000, 30}) AddRecord(bytes);
  for (size_t at = 0; at < file_.size(); at += (at % kBlock < 100 ? 1 : 911)) {
    for (const int bit : {0, 5, 7}) {
      file_[at] = static_cast<char>(file_[at] ^ (1 << bit));
      EXPECT_EQ(Check(), WalFileVerdict::kDamaged) << "byte " << at << " bit " << bit;
      file_[at] = static_cast<char>(file_[at] ^ (1 << bit));
    }
  }
  for (size_t at = LastStart(); at < file_.size(); ++at) {
    file_[at] = static_cast<char>(file_[at] ^ 0x20);
    EXPECT_EQ(Check(), WalFileVerdict::kDamaged) << "byte " << at;
    file_[at] = static_cast<char>(file_[at] ^ 0x20);
  }
}

}  // namespace
}  // namespace forebay
