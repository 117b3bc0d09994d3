// The checksum of each whole table, in the manifest.
#pragma once

#include <memory>

#include "rocksdb/file_checksum.h"

namespace forebay {

// As RocksDB's GetFileChecksumGenCrc32cFactory, bytes and names, but with the processor's
// instruction: RocksDB as Debian builds it computes CRC-32C by tables, which took 5 % of all CPU at
// the maximum (docs/decisions/0033-where-the-time-goes.md).
std::shared_ptr<rocksdb::FileChecksumGenFactory> TableChecksumFactory();

}  // namespace forebay
