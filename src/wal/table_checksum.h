// The checksum of each whole table, in the manifest.
#pragma once

#include <memory>

#include "rocksdb/file_checksum.h"

namespace forebay {

// As RocksDB's GetFileChecksumGenCrc32cFactory, bytes and names, but with the processor's
// instruction: RocksDB as distributions build it computes CRC-32C by tables, which took a tenth of
// a busy node's CPU (docs/BENCHMARKS.md).
std::shared_ptr<rocksdb::FileChecksumGenFactory> TableChecksumFactory();

}  // namespace forebay
