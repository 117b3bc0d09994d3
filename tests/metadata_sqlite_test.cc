#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "metadata/sqlite_metadata_store.h"
#include "metadata_store_contract.h"

extern char** environ;

namespace forebay {
namespace {

using ::testing::HasSubstr;

// A folder that goes away with the test.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "forebay-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A hand at the file, with SQLite's own means.
class Hand {
 public:
  explicit Hand(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
    sqlite3_busy_timeout(db_, 10000);
  }
  ~Hand() { sqlite3_close(db_); }
  void Run(const std::string& sql) {
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db_);
  }

 private:
  sqlite3* db_ = nullptr;
};

std::unique_ptr<SqliteMetadataStore> OpenStore(const std::string& path,
                                               absl::Duration timeout = absl::Seconds(20)) {
  auto store = SqliteMetadataStore::Open({.path = path, .timeout = timeout});
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

absl::Status WhyNot(const std::string& path) {
  const auto store = SqliteMetadataStore::Open({.path = path, .timeout = absl::Milliseconds(50)});
  EXPECT_FALSE(store.ok());
  return store.status();
}

class SqliteWorld final : public MetadataWorld {
 public:
  MetadataStore& node(int index) override { return *nodes_[static_cast<size_t>(index)]; }
  void DestroyNode(int index) override { nodes_[static_cast<size_t>(index)].reset(); }
  void Delete(const std::string& key) override {
    Hand(path_).Run("DELETE FROM records WHERE key = '" + key + "'");
  }
  bool SetLocked(bool locked) override {
    lock_.reset();
    // Their swaps end in time, however busy the machine is.
    for (auto& node : nodes_) node = OpenStore(path_, absl::Seconds(locked ? 2 : 20));
    if (locked) {
      lock_ = std::make_unique<Hand>(path_);
      lock_->Run("BEGIN IMMEDIATE");
    }
    return true;
  }

 private:
  Folder folder_;
  std::string path_ = folder_ / "metadata.db";
  std::unique_ptr<Hand> lock_;
  std::array<std::unique_ptr<SqliteMetadataStore>, 2> nodes_ = {OpenStore(path_), OpenStore(path_)};
};

INSTANTIATE_TEST_SUITE_P(Sqlite, MetadataStoreContract,
                         ::testing::Values([] { return std::make_unique<SqliteWorld>(); }));

TEST(SqliteMetadata, KeepsRecordsAndVersionsWhenItIsOpenedAgain) {
  const Folder folder;
  const uint64_t version = *SwapNow(*OpenStore(folder / "m.db"), "a", 0, "one");
  const auto store = OpenStore(folder / "m.db");
  EXPECT_EQ((*ReadNow(*store, "a"))->value, "one");
  EXPECT_EQ((*ReadNow(*store, "a"))->version, version);
  EXPECT_GT(*SwapNow(*store, "a", version, "two"), version);
}

TEST(SqliteMetadata, VersionsRiseWhenEverythingWasDeletedByHand) {
  const Folder folder;
  const auto store = OpenStore(folder / "m.db");
  SwapNow(*store, "a", 0, "x").status().IgnoreError();
  const uint64_t version = *SwapNow(*store, "b", 0, "x");
  Hand(folder / "m.db").Run("DELETE FROM records");
  EXPECT_EQ(ListNow(*store, "")->size(), 0u);
  EXPECT_GT(*SwapNow(*store, "b", 0, "y"), version);
}

TEST(SqliteMetadata, SaysThatTheFolderIsMissing) {
  const Folder folder;
  const absl::Status status = WhyNot(folder / "no/such/m.db");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no/such does not exist"));
  EXPECT_EQ(WhyNot("").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(WhyNot(folder / ".").code(), absl::StatusCode::kInvalidArgument);
}

TEST(SqliteMetadata, RefusesAFileThatIsNoDatabase) {
  const Folder folder;
  std::ofstream(folder / "m.db") << std::string(10000, 'x');
  const absl::Status status = WhyNot(folder / "m.db");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("m.db"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a database"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("put the file back"));
}

TEST(SqliteMetadata, RefusesADatabaseOfSomethingElse) {
  const Folder folder;
  Hand(folder / "m.db").Run("CREATE TABLE customers (name TEXT)");
  const absl::Status status = WhyNot(folder / "m.db");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("something else"));
}

TEST(SqliteMetadata, RefusesAFileOfANewerVersion) {
  const Folder folder;
  OpenStore(folder / "m.db");
  Hand(folder / "m.db").Run("PRAGMA user_version = 2");
  const absl::Status status = WhyNot(folder / "m.db");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("upgrade this node"));
}

// G10: damage is an error, never "there is nothing".
TEST(SqliteMetadata, ADamagedFileIsNeverReadAsEmpty) {
  const Folder folder;
  {
    const auto store = OpenStore(folder / "m.db");
    for (int i = 0; i < 100; i++) {
      ASSERT_TRUE(SwapNow(*store, "a" + std::to_string(i), 0, std::string(1000, 'v')).ok());
    }
  }
  const auto bytes = std::filesystem::file_size(folder / "m.db");
  {
    std::fstream file(folder / "m.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);  // past the first page, which says what the file is
    file << std::string(bytes - 4096, '\xa5');
  }
  const auto store =
      SqliteMetadataStore::Open({.path = folder / "m.db", .timeout = absl::Seconds(20)});
  const absl::Status status = store.ok() ? ReadNow(**store, "a1").status() : store.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  if (store.ok()) {
    EXPECT_FALSE(ListNow(**store, "").ok());
    EXPECT_FALSE(SwapNow(**store, "a1", 0, "x").ok());
  }
}

TEST(SqliteMetadata, ASwapThatCannotGetTheLockIsUnknown) {
  const Folder folder;
  const auto store = OpenStore(folder / "m.db", absl::Milliseconds(50));
  Hand other(folder / "m.db");
  other.Run("BEGIN IMMEDIATE");
  const SwapResult result = SwapNow(*store, "a", 0, "x");
  EXPECT_FALSE(result.ok());
  EXPECT_FALSE(absl::IsAborted(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("lock"));
  other.Run("ROLLBACK");
}

class SqliteProcesses : public ::testing::Test {
 protected:
  // Runs the disabled test below in a process of its own.
  pid_t Start(const std::string& path, int swaps) {
    ::setenv("FOREBAY_TEST_FILE", path.c_str(), 1);
    ::setenv("FOREBAY_TEST_SWAPS", std::to_string(swaps).c_str(), 1);
    std::string self = "/proc/self/exe";
    std::string filter = "--gtest_filter=SqliteProcess.DISABLED_CountsInTheFile";
    std::string disabled = "--gtest_also_run_disabled_tests";
    char* const args[] = {self.data(), filter.data(), disabled.data(), nullptr};
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    EXPECT_EQ(::posix_spawn(&pid, "/proc/self/exe", &files, nullptr, args, environ), 0);
    ::posix_spawn_file_actions_destroy(&files);
    return pid;
  }
  int Wait(pid_t pid) {
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return status;
  }

  Folder folder_;
};

// Adds one to the counter, by compare-and-swap, as often as asked.
TEST(SqliteProcess, DISABLED_CountsInTheFile) {
  const char* path = std::getenv("FOREBAY_TEST_FILE");
  ASSERT_NE(path, nullptr) << "run by SqliteProcesses only";
  const auto store = OpenStore(path);
  const int swaps = std::atoi(std::getenv("FOREBAY_TEST_SWAPS"));
  for (int applied = 0; applied < swaps;) {
    const auto record = ReadNow(*store, "counter");
    ASSERT_TRUE(record.ok()) << record.status();
    const bool exists = record->has_value();
    const int next = exists ? std::stoi((*record)->value) + 1 : 1;
    const SwapResult result =
        SwapNow(*store, "counter", exists ? (*record)->version : 0, std::to_string(next));
    if (result.ok()) applied++;
    ASSERT_TRUE(result.ok() || absl::IsAborted(result.status())) << result.status();
  }
}

TEST_F(SqliteProcesses, ShareOneFile) {
  std::vector<pid_t> processes;
  for (int i = 0; i < 3; i++) processes.push_back(Start(folder_ / "m.db", 50));
  const auto store = OpenStore(folder_ / "m.db");
  Watched watched(*store, "");
  for (const pid_t pid : processes) EXPECT_EQ(Wait(pid), 0);
  const auto record = ReadNow(*store, "counter");
  ASSERT_TRUE(record.ok() && record->has_value());
  EXPECT_EQ((*record)->value, "150");
  EXPECT_EQ(watched.WaitFor("counter", (*record)->version), "150");
}

TEST_F(SqliteProcesses, OneThatIsKilledLeavesTheOthersAWholeFile) {
  const auto store = OpenStore(folder_ / "m.db");
  Watched watched(*store, "counter");
  const pid_t victim = Start(folder_ / "m.db", 1'000'000);
  watched.WaitFor("counter", 20);
  ::kill(victim, SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(Wait(victim)));
  const auto record = ReadNow(*store, "counter");
  ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
  EXPECT_EQ(std::stoull((*record)->value), (*record)->version);
  EXPECT_TRUE(SwapNow(*store, "counter", (*record)->version, "1").ok());
}

}  // namespace
}  // namespace forebay
