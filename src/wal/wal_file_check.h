// Reads a write-ahead log file of RocksDB before RocksDB does, to tell a write that the power cut
// short (never acknowledged, may go) from damage to what was synced (must never pass for the end of
// the log). RocksDB itself cannot tell the two apart, and skips zeroed pages without a word; see
// docs/decisions/0010-wal-recovery.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace forebay {

struct WalFileVerdict {
  enum Kind {
    kWhole,    // every record is there
    kTorn,     // the last record was cut short before it was synced; what is before is whole
    kDamaged,  // something that was synced, or may have been, is not what was written
  };
  Kind kind = kWhole;
  uint64_t good_end = 0;  // bytes of whole records from the start
  std::string what;       // what is wrong, for people
};

// `bytes` is the whole file. Assumes that each record was synced before the next was written.
WalFileVerdict CheckWalFile(std::string_view bytes);

// The same for a manifest, whose records are not batches with sequence numbers.
WalFileVerdict CheckManifestFile(std::string_view bytes);

}  // namespace forebay
