// Keys and values of RocksWalStore, as docs/FORMATS.md gives them. Numbers are big-endian, so that
// the order of the bytes is the order of the numbers.
//
//   blocks  number (8)                    -> the block's bytes
//   index   instance (8) | offset (8)     -> number (8) | count (4) | checksum (4) | bytes (4)
//   state   "m"                           -> version (4) | incarnation (8) | node id
//           "f" | partition               -> fence (8)
//           "s" | partition | epoch (8)   -> instance (8) | start (8) | snapshot
//   partition = length of the stream's name (2) | name | index (4)
//
// An instance is one opening of a segment, numbered over the node, so that what is left of a
// dropped segment can never be taken for one that is opened later under the same key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wal/wal_store.h"

namespace forebay {

struct IndexKey {
  uint64_t instance = 0;
  Offset first;
};
struct IndexValue {
  uint64_t number = 0;  // key in `blocks`
  uint32_t count = 0;
  uint32_t checksum = 0;
  uint32_t bytes = 0;
};
struct SegmentValue {
  uint64_t instance = 0;
  Offset start;
  std::string snapshot;
};

inline constexpr std::string_view kMarkerKey = "m";
inline constexpr char kFencePrefix = 'f';
inline constexpr char kSegmentPrefix = 's';

std::string EncodeNumber(uint64_t number);
std::string EncodeIndexKey(const IndexKey& key);
std::string EncodeIndexValue(const IndexValue& value);
std::string EncodeMarker(const WalMarker& marker);
std::string EncodeFenceKey(const PartitionId& partition);
std::string EncodeSegmentKey(const SegmentKey& key);
std::string EncodeSegmentValue(const SegmentValue& value);

// nullopt: not what the encoder makes, hence damaged.
std::optional<uint64_t> DecodeNumber(std::string_view bytes);
std::optional<IndexKey> DecodeIndexKey(std::string_view bytes);
std::optional<IndexValue> DecodeIndexValue(std::string_view bytes);
std::optional<WalMarker> DecodeMarker(std::string_view bytes);
// The version of the format that a marker begins with, and the one that this build writes.
std::optional<uint64_t> DecodeMarkerVersion(std::string_view bytes);
inline constexpr uint64_t kWalFormat = 1;
std::optional<PartitionId> DecodeFenceKey(std::string_view bytes);
std::optional<SegmentKey> DecodeSegmentKey(std::string_view bytes);
std::optional<SegmentValue> DecodeSegmentValue(std::string_view bytes);

}  // namespace forebay
