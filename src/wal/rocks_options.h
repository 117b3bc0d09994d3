// How RocksDB is set up for a write-ahead log, and its errors as ours. Each setting has its reason
// in the source.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/listener.h"
#include "rocksdb/options.h"

namespace forebay {

inline constexpr const char* kBlocksFamily = "blocks";
inline constexpr const char* kIndexFamily = "index";
inline constexpr const char* kStateFamily = "state";

rocksdb::DBOptions RocksOptions(rocksdb::Env* env, size_t memtable_bytes,
                                std::shared_ptr<rocksdb::EventListener> listener);

// default, blocks, index, state; RocksDB asks for the first one.
std::vector<rocksdb::ColumnFamilyDescriptor> RocksFamilies(size_t memtable_bytes);

// UNAVAILABLE, or DATA_LOSS for corruption; the message names what was done.
absl::Status FromRocks(const rocksdb::Status& status, const std::string& what);

}  // namespace forebay
