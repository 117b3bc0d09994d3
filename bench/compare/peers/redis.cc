// Redis streams over hiredis: XADD of each event, then WAIT for the replicas.
#include <hiredis/hiredis.h>
#include <poll.h>

#include <deque>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "compare/peer.h"

namespace forebay::compare {
namespace {

// A WAIT blocks its connection, so it carries few and larger batches.
constexpr size_t kBatchesInFlight = 2;
constexpr timeval kConnectLimit = {.tv_sec = 1, .tv_usec = 0};
constexpr int kWaitMilliseconds = 1000;

struct Close {
  void operator()(redisContext* context) const { redisFree(context); }
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, Close>;
using Reply = std::unique_ptr<redisReply, Close>;

absl::Status ErrorOf(const redisContext& context) {
  return absl::UnavailableError(absl::StrCat("redis: ", context.errstr));
}

class RedisPublisher final : public Publisher {
 public:
  struct Target {
    std::string stream;
    int replicas = 1;  // that must have it
  };
  RedisPublisher(Context context, Target target)
      : context_(std::move(context)), target_(std::move(target)) {}

  absl::Status Send(Ticket ticket, std::string_view event) override {
    waiting_.push_back(ticket);
    const int done = redisAppendCommand(context_.get(), "XADD %b * d %b", target_.stream.data(),
                                        target_.stream.size(), event.data(), event.size());
    return done == REDIS_OK ? absl::OkStatus() : ErrorOf(*context_);
  }

  absl::Status Flush() override {
    if (!waiting_.empty() && batches_.size() < kBatchesInFlight) {
      if (const absl::Status status = EndBatch(std::exchange(waiting_, {})); !status.ok()) {
        return status;
      }
    }
    return Write();
  }

  absl::Status Poll(absl::Duration limit, std::vector<Answer>& answers) override {
    pollfd ready{.fd = context_->fd, .events = POLLIN, .revents = 0};
    timespec time = absl::ToTimespec(limit);
    if (ppoll(&ready, 1, &time, nullptr) <= 0) return absl::OkStatus();
    if (redisBufferRead(context_.get()) != REDIS_OK) return ErrorOf(*context_);
    const Instant now = Now();
    while (true) {
      void* raw = nullptr;
      if (redisGetReplyFromReader(context_.get(), &raw) != REDIS_OK) return ErrorOf(*context_);
      if (raw == nullptr) break;
      const Reply reply(static_cast<redisReply*>(raw));
      if (reply->type == REDIS_REPLY_ERROR) {
        return absl::UnavailableError(absl::StrCat("redis: ", reply->str));
      }
      // XADD answers with a text, WAIT with the number of replicas.
      if (reply->type != REDIS_REPLY_INTEGER) continue;
      if (const absl::Status status = Waited(reply->integer, now, answers); !status.ok()) {
        return status;
      }
    }
    return Flush();  // of what had to wait for its turn
  }

 private:
  absl::Status EndBatch(std::vector<Ticket> tickets) {
    batches_.push_back(std::move(tickets));
    const int done =
        redisAppendCommand(context_.get(), "WAIT %d %d", target_.replicas, kWaitMilliseconds);
    return done == REDIS_OK ? absl::OkStatus() : ErrorOf(*context_);
  }

  absl::Status Waited(int64_t replicas, Instant now, std::vector<Answer>& answers) {
    std::vector<Ticket> batch = std::move(batches_.front());
    batches_.pop_front();
    // They are stored, on too few: wait once more, do not send them again.
    if (replicas < target_.replicas) return EndBatch(std::move(batch));
    for (const Ticket ticket : batch) {
      answers.push_back({.ticket = ticket, .stored = true, .at = now});
    }
    return absl::OkStatus();
  }

  absl::Status Write() {
    for (int done = 0; done == 0;) {
      if (redisBufferWrite(context_.get(), &done) != REDIS_OK) return ErrorOf(*context_);
    }
    return absl::OkStatus();
  }

  const Context context_;
  const Target target_;
  std::vector<Ticket> waiting_;              // in Redis's hands, or soon, and before any WAIT
  std::deque<std::vector<Ticket>> batches_;  // one per WAIT that is not answered
};

class RedisPeer final : public Peer {
 public:
  explicit RedisPeer(const PeerOptions& options) : options_(options) {}

  absl::StatusOr<std::unique_ptr<Publisher>> Connect(uint32_t, size_t attempt) override {
    auto context = Open(options_.addresses[attempt % options_.addresses.size()]);
    if (!context.ok()) return context.status();
    const Reply role(static_cast<redisReply*>(redisCommand(context->get(), "ROLE")));
    if (!role || role->type != REDIS_REPLY_ARRAY || role->elements == 0 ||
        std::string_view(role->element[0]->str) != "master") {
      return absl::UnavailableError("redis: not the master");
    }
    RedisPublisher::Target target{.stream = options_.name, .replicas = 1};
    if (!absl::SimpleAtoi(options_.Setting("wait", "1"), &target.replicas)) {
      return absl::InvalidArgumentError("redis: wait is not a number");
    }
    return std::make_unique<RedisPublisher>(*std::move(context), target);
  }

  absl::Status ReadBack(const std::function<void(std::string_view)>& show) override {
    auto context = Open(options_.addresses.front());
    if (!context.ok()) return context.status();
    std::string from = "-";
    while (true) {
      const Reply reply(static_cast<redisReply*>(redisCommand(
          context->get(), "XRANGE %s %s + COUNT 1000", options_.name.c_str(), from.c_str())));
      if (!reply) return ErrorOf(**context);
      if (reply->type != REDIS_REPLY_ARRAY) return absl::DataLossError("redis: odd answer");
      if (reply->elements == 0) return absl::OkStatus();
      for (size_t i = 0; i < reply->elements; ++i) {
        const redisReply* fields = reply->element[i]->element[1];
        show({fields->element[1]->str, static_cast<size_t>(fields->element[1]->len)});
        from = absl::StrCat("(", reply->element[i]->element[0]->str);
      }
    }
  }

 private:
  static absl::StatusOr<Context> Open(const std::string& address) {
    const HostPort node = Split(address);
    Context context(redisConnectWithTimeout(node.host.c_str(), node.port, kConnectLimit));
    if (!context || context->err != 0) {
      return absl::UnavailableError("redis: cannot connect to " + address);
    }
    return context;
  }

  const PeerOptions options_;
};

}  // namespace

std::unique_ptr<Peer> MakePeer(const PeerOptions& options) {
  return std::make_unique<RedisPeer>(options);
}

}  // namespace forebay::compare
