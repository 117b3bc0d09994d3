#include "wal/table_checksum.h"

#include <cstdint>
#include <string>

#include "base/checksum.h"

namespace forebay {
namespace {

class Generator final : public rocksdb::FileChecksumGenerator {
 public:
  void Update(const char* data, size_t size) override { crc_ = Crc32c({data, size}, crc_); }
  void Finalize() override {
    for (int shift = 24; shift >= 0; shift -= 8) bytes_ += static_cast<char>(crc_ >> shift);
  }
  std::string GetChecksum() const override { return bytes_; }
  const char* Name() const override { return "FileChecksumCrc32c"; }

 private:
  uint32_t crc_ = 0;
  std::string bytes_;  // big-endian
};

class Factory final : public rocksdb::FileChecksumGenFactory {
 public:
  std::unique_ptr<rocksdb::FileChecksumGenerator> CreateFileChecksumGenerator(
      const rocksdb::FileChecksumGenContext& /*context*/) override {
    return std::make_unique<Generator>();
  }
  const char* Name() const override { return "FileChecksumGenCrc32cFactory"; }
};

}  // namespace

std::shared_ptr<rocksdb::FileChecksumGenFactory> TableChecksumFactory() {
  return std::make_shared<Factory>();
}

}  // namespace forebay
