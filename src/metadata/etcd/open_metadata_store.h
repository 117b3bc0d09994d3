// Where the nodes meet, as the settings write it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "metadata/metadata_store.h"

namespace forebay {

// "sqlite:/path/to/file" or "etcd:host:2379,host:2379" (BufferOptions::metadata). INVALID_ARGUMENT:
// neither; otherwise as SqliteMetadataStore::Open and EtcdMetadataStore::Create.
absl::StatusOr<std::unique_ptr<MetadataStore>> OpenMetadataStore(const std::string& where);

}  // namespace forebay
