// What the sink contract suite needs from each kind of sink: new instances on one downstream, and a
// look at what is there.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/check.h"
#include "block/event_json.h"
#include "forebay/sink.h"
#include "support/memory_sink.h"
#include "support/postgres_server.h"
#include "support/temporary_folder.h"

namespace forebay {

struct SeenRow {
  uint64_t offset = 0;
  std::string id, key, type, payload;
  friend bool operator==(const SeenRow&, const SeenRow&) = default;
  friend std::ostream& operator<<(std::ostream& out, const SeenRow& row) {
    return out << row.offset << ":" << row.id << ":" << row.payload;
  }
};

inline const SinkId kSinkName("contract");

class SinkWorld {
 public:
  virtual ~SinkWorld() = default;
  // As another process would have it.
  virtual std::shared_ptr<Sink> NewSink() = 0;
  // In the order of offsets; a duplicate would show twice.
  virtual std::vector<SeenRow> Rows(const PartitionId& partition) = 0;
};

class MemorySinkWorld final : public SinkWorld {
 public:
  std::shared_ptr<Sink> NewSink() override { return std::make_shared<MemorySink>(downstream_); }
  std::vector<SeenRow> Rows(const PartitionId& partition) override {
    std::vector<SeenRow> out;
    for (const auto& row : downstream_->Rows(partition)) {
      const Event& event = row.event;
      out.push_back({row.offset.value(), event.id, event.key, event.type, event.payload});
    }
    return out;
  }

 private:
  std::shared_ptr<MemoryDownstream> downstream_ = std::make_shared<MemoryDownstream>();
};

class SqliteSinkWorld final : public SinkWorld {
 public:
  std::string path() const { return folder_.path() + "/sink.db"; }
  std::shared_ptr<Sink> NewSink() override {
    SqliteSinkOptions options;
    options.name = kSinkName;
    options.path = path();
    auto sink = OpenSqliteSink(options);
    FOREBAY_CHECK(sink.ok(), sink.status().ToString());
    return *sink;
  }
  void Sql(const std::string& sql) {
    sqlite3* database = nullptr;
    sqlite3_open(path().c_str(), &database);
    char* error = nullptr;
    sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error);
    FOREBAY_CHECK(error == nullptr, error);
    sqlite3_close(database);
  }
  std::vector<SeenRow> Rows(const PartitionId& partition) override {
    sqlite3* database = nullptr;
    sqlite3_open(path().c_str(), &database);
    sqlite3_stmt* select = nullptr;
    const std::string sql =
        "SELECT \"offset\", id, key, type, payload FROM events WHERE stream = '" +
        partition.stream.value() + "' AND partition = " + std::to_string(partition.index) +
        " ORDER BY 1";
    sqlite3_prepare_v2(database, sql.c_str(), -1, &select, nullptr);
    std::vector<SeenRow> out;
    auto text = [select](int column) {
      return std::string(static_cast<const char*>(sqlite3_column_blob(select, column)),
                         static_cast<size_t>(sqlite3_column_bytes(select, column)));
    };
    while (sqlite3_step(select) == SQLITE_ROW) {
      out.push_back({static_cast<uint64_t>(sqlite3_column_int64(select, 0)), text(1), text(2),
                     text(3), text(4)});
    }
    sqlite3_finalize(select);
    sqlite3_close(database);
    return out;
  }

 private:
  TemporaryFolder folder_;
};

class FilesSinkWorld final : public SinkWorld {
 public:
  const std::string& path() const { return folder_.path(); }
  std::filesystem::path PartitionFolder(const PartitionId& partition) const {
    return std::filesystem::path(path()) / partition.stream.value() /
           std::to_string(partition.index);
  }
  std::shared_ptr<Sink> NewSink() override {
    FilesSinkOptions options;
    options.name = kSinkName;
    options.directory = path();
    auto sink = OpenFilesSink(options);
    FOREBAY_CHECK(sink.ok(), sink.status().ToString());
    return *sink;
  }
  std::vector<std::filesystem::path> Files(const PartitionId& partition) const {
    std::vector<std::filesystem::path> files;
    std::error_code none;
    for (const auto& entry :
         std::filesystem::directory_iterator(PartitionFolder(partition), none)) {
      if (entry.path().extension() == ".ndjson") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  std::vector<SeenRow> Rows(const PartitionId& partition) override {
    std::vector<SeenRow> out;
    for (const auto& path : Files(partition)) {
      std::ifstream file(path);
      std::string line;
      std::getline(file, line);  // the head
      while (std::getline(file, line)) {
        const size_t comma = line.find(',');
        const std::string prefix = "{\"offset\":";
        FOREBAY_CHECK(line.substr(0, prefix.size()) == prefix, line);
        auto event = ParseEventJson("{" + line.substr(comma + 1));
        FOREBAY_CHECK(event.ok(), event.status().ToString());
        out.push_back({std::stoull(line.substr(prefix.size())), event->id, event->key, event->type,
                       event->payload});
      }
    }
    return out;
  }

 private:
  TemporaryFolder folder_;
};

class PostgresSinkWorld final : public SinkWorld {
 public:
  explicit PostgresSinkWorld(PostgresServer& server) : url_(server.NewDatabase()) {}

  const std::string& url() const { return url_; }
  std::shared_ptr<Sink> NewSink() override { return NewSink(url_); }
  std::shared_ptr<Sink> NewSink(const std::string& url) {
    PostgresSinkOptions options;
    options.name = kSinkName;
    options.url = url;
    options.timeout = absl::Seconds(20);
    auto sink = OpenPostgresSink(options);
    FOREBAY_CHECK(sink.ok(), sink.status().ToString());
    return *sink;
  }
  std::vector<std::vector<std::string>> Sql(const std::string& sql) {
    return PostgresServer::Sql(url_, sql);
  }
  std::vector<SeenRow> Rows(const PartitionId& partition) override {
    std::vector<SeenRow> out;
    for (const auto& row :
         Sql("SELECT \"offset\", id, key, type, payload, payload_is_base64 FROM events "
             "WHERE stream = '" +
             partition.stream.value() + "' AND partition = " + std::to_string(partition.index) +
             " ORDER BY 1")) {
      std::string payload = row[4];
      if (row[5] == "t") absl::Base64Unescape(row[4], &payload);
      out.push_back({std::stoull(row[0]), row[1], row[2], row[3], payload});
    }
    return out;
  }

 private:
  const std::string url_;
};

}  // namespace forebay
