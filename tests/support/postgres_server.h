// A private PostgreSQL server for a test program, by way of scripts/with-postgres.
#pragma once

#include <fcntl.h>
#include <libpq-fe.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace forebay {

// Ends with this object, and with the process however that dies, because the script's command only
// waits for the end of its input.
class PostgresServer {
 public:
  // nullptr when there is none to start; the script has said why on stderr.
  static std::unique_ptr<PostgresServer> Start() {
    int to_script[2], from_script[2];
    if (pipe2(to_script, O_CLOEXEC) != 0 || pipe2(from_script, O_CLOEXEC) != 0) return nullptr;
    const pid_t script = fork();
    if (script == 0) {
      dup2(to_script[0], STDIN_FILENO);
      dup2(from_script[1], STDOUT_FILENO);
      execl(FOREBAY_SOURCE_DIR "/scripts/with-postgres", "with-postgres", "sh", "-c",
            "echo \"$FOREBAY_POSTGRES_URL\"; exec cat >/dev/null", nullptr);
      _exit(127);
    }
    close(to_script[0]);
    close(from_script[1]);
    std::string url;
    char c = 0;
    while (read(from_script[0], &c, 1) == 1 && c != '\n') url += c;
    close(from_script[0]);
    auto server = std::unique_ptr<PostgresServer>(new PostgresServer(script, to_script[1], url));
    return url.empty() ? nullptr : std::move(server);
  }

  ~PostgresServer() {
    close(end_);
    waitpid(script_, nullptr, 0);
  }
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  int port() const { return std::stoi(url_.substr(url_.rfind(':') + 1)); }
  // Of a fresh database; through another port, if given (a proxy).
  std::string NewDatabase() {
    const std::string name = "test" + std::to_string(++databases_);
    Sql(url_, "CREATE DATABASE " + name);
    return UrlOf(name, port());
  }
  static std::string ThroughPort(const std::string& url, int port) {
    return UrlOf(url.substr(url.rfind('/') + 1), port);
  }

  // Rows as text; aborts on an error.
  static std::vector<std::vector<std::string>> Sql(const std::string& url, const std::string& sql) {
    PGconn* connection = PQconnectdb(url.c_str());
    PGresult* result = PQexec(connection, sql.c_str());
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
      std::fprintf(stderr, "%s: %s\n", sql.c_str(), PQerrorMessage(connection));
      std::abort();
    }
    std::vector<std::vector<std::string>> rows;
    for (int row = 0; row < PQntuples(result); row++) {
      std::vector<std::string> columns;
      for (int column = 0; column < PQnfields(result); column++) {
        columns.emplace_back(PQgetvalue(result, row, column));
      }
      rows.push_back(std::move(columns));
    }
    PQclear(result);
    PQfinish(connection);
    return rows;
  }

 private:
  PostgresServer(pid_t script, int end, std::string url)
      : script_(script), end_(end), url_(std::move(url)) {}
  static std::string UrlOf(const std::string& database, int port) {
    return "postgres://postgres@127.0.0.1:" + std::to_string(port) + "/" + database;
  }

  const pid_t script_;
  const int end_;  // the script's input: its end is the server's end
  const std::string url_;
  int databases_ = 0;
};

}  // namespace forebay
