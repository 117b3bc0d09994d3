#include "metadata/etcd/open_metadata_store.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "metadata/etcd/etcd_metadata_store.h"
#include "metadata/sqlite_metadata_store.h"

namespace forebay {
namespace {

template <typename Store>
absl::StatusOr<std::unique_ptr<MetadataStore>> Plain(absl::StatusOr<std::unique_ptr<Store>> store) {
  if (!store.ok()) return store.status();
  return std::unique_ptr<MetadataStore>(*std::move(store));
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetadataStore>> OpenMetadataStore(const std::string& where) {
  constexpr std::string_view kSqlite = "sqlite:", kEtcd = "etcd:";
  if (where.starts_with(kSqlite)) {
    return Plain(SqliteMetadataStore::Open({.path = where.substr(kSqlite.size())}));
  }
  if (where.starts_with(kEtcd)) {
    EtcdOptions options;
    options.endpoints = absl::StrSplit(where.substr(kEtcd.size()), ',', absl::SkipEmpty());
    return Plain(EtcdMetadataStore::Create(std::move(options)));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("metadata is '", where,
                   "', but must be sqlite:/path/to/file or etcd:HOST:PORT,HOST:PORT,..."));
}

}  // namespace forebay
