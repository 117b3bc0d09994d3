// What must hold of any bytes at all that are found in a data directory or a metadata store.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "records/records.h"
#include "replication/core/producer_table.h"
#include "wal/wal_file_check.h"
#include "wal/wal_keys.h"

namespace forebay {

// What decodes is what the encoder makes, to the byte. True when something did.
inline bool FuzzDisk(std::string_view input) {
  bool decoded = false;
  const auto same = [&](const auto& value, const auto& encode) {
    if (!value.has_value()) return;
    decoded = true;
    FOREBAY_CHECK(encode(*value) == input, "decoded and encoded again");
  };
  same(DecodeNumber(input), EncodeNumber);
  same(DecodeIndexKey(input), EncodeIndexKey);
  same(DecodeIndexValue(input), EncodeIndexValue);
  same(DecodeMarker(input), EncodeMarker);
  same(DecodeFenceKey(input), EncodeFenceKey);
  same(DecodeSegmentKey(input), EncodeSegmentKey);
  same(DecodeSegmentValue(input), EncodeSegmentValue);
  const WalFileVerdict verdict = CheckWalFile(input);
  FOREBAY_CHECK(verdict.good_end <= input.size(), "the good part is part of the file");
  FOREBAY_CHECK(verdict.kind == WalFileVerdict::kWhole || !verdict.what.empty(), "says what");
  const WalFileVerdict manifest = CheckManifestFile(input);
  FOREBAY_CHECK(manifest.good_end <= input.size(), "the good part is part of the manifest");
  decoded |= DecodeMarkerVersion(input).has_value();
  const std::string text(input);
  decoded |= DecodeMaintenance(text).ok() || PartitionOfChainKey(text).ok();
  decoded |= DecodeNode(text).ok() || DecodeStream(text).ok() || DecodeChain(text).ok();
  decoded |= ProducerTable::Decode(input).ok();
  return decoded;
}

}  // namespace forebay
