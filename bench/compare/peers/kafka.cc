// Kafka over librdkafka: an idempotent producer with acks=all, which repeats by itself.
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compare/peer.h"

namespace forebay::compare {
namespace {

constexpr int kMetadataMilliseconds = 5'000;
constexpr int kCreateMilliseconds = 15'000;
// A partition that shows nothing for so long has been read.
constexpr int kReadMilliseconds = 3'000;
constexpr int kCopies = 3;

struct Destroy {
  void operator()(rd_kafka_t* p) const { rd_kafka_destroy(p); }
  void operator()(rd_kafka_topic_t* p) const { rd_kafka_topic_destroy(p); }
  void operator()(rd_kafka_conf_t* p) const { rd_kafka_conf_destroy(p); }
  void operator()(rd_kafka_NewTopic_t* p) const { rd_kafka_NewTopic_destroy(p); }
  void operator()(rd_kafka_queue_t* p) const { rd_kafka_queue_destroy(p); }
  void operator()(rd_kafka_event_t* p) const { rd_kafka_event_destroy(p); }
  void operator()(rd_kafka_message_t* p) const { rd_kafka_message_destroy(p); }
  void operator()(const rd_kafka_metadata_t* p) const { rd_kafka_metadata_destroy(p); }
  void operator()(rd_kafka_topic_partition_list_t* p) const {
    rd_kafka_topic_partition_list_destroy(p);
  }
};
template <class T>
using Owned = std::unique_ptr<T, Destroy>;
using Settings = std::map<std::string, std::string>;
using Delivered = void(rd_kafka_t*, const rd_kafka_message_t*, void*);

absl::Status Failed(const char* what, rd_kafka_resp_err_t error) {
  return absl::UnavailableError(absl::StrCat("kafka: ", what, ": ", rd_kafka_err2str(error)));
}

absl::StatusOr<Owned<rd_kafka_t>> Open(rd_kafka_type_t type, const Settings& settings,
                                       Delivered* delivered, void* opaque) {
  Owned<rd_kafka_conf_t> conf(rd_kafka_conf_new());
  std::array<char, 512> error{};
  for (const auto& [key, value] : settings) {
    if (rd_kafka_conf_set(conf.get(), key.c_str(), value.c_str(), error.data(), error.size()) !=
        RD_KAFKA_CONF_OK) {
      return absl::InvalidArgumentError(absl::StrCat("kafka: ", error.data()));
    }
  }
  if (delivered != nullptr) rd_kafka_conf_set_dr_msg_cb(conf.get(), delivered);
  rd_kafka_conf_set_opaque(conf.get(), opaque);
  // What it has to say about a killed broker would fill the terminal.
  rd_kafka_conf_set_log_cb(conf.get(), [](const rd_kafka_t*, int, const char*, const char*) {});
  Owned<rd_kafka_t> out(rd_kafka_new(type, conf.get(), error.data(), error.size()));
  if (!out) return absl::UnavailableError(absl::StrCat("kafka: ", error.data()));
  (void)conf.release();  // it is the client's now
  return out;
}

class KafkaPublisher final : public Publisher {
 public:
  absl::Status Start(const Settings& settings, const std::string& topic) {
    auto client = Open(RD_KAFKA_PRODUCER, settings, &KafkaPublisher::OnDelivered, this);
    if (!client.ok()) return client.status();
    client_ = *std::move(client);
    wake_up_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_up_ < 0) return absl::UnavailableError("kafka: no eventfd");
    queue_.reset(rd_kafka_queue_get_main(client_.get()));
    constexpr uint64_t kOne = 1;
    rd_kafka_queue_io_event_enable(queue_.get(), wake_up_, &kOne, sizeof kOne);
    topic_.reset(rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr));
    return topic_ ? absl::OkStatus() : Failed("topic", rd_kafka_last_error());
  }
  ~KafkaPublisher() override {
    // What is left over is not waited for.
    if (client_) rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (queue_) rd_kafka_queue_io_event_enable(queue_.get(), -1, nullptr, 0);
    if (wake_up_ >= 0) close(wake_up_);
  }

  absl::Status Send(Ticket ticket, std::string_view event) override {
    const int done = rd_kafka_produce(topic_.get(), RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                      const_cast<char*>(event.data()), event.size(), nullptr, 0,
                                      reinterpret_cast<void*>(ticket));
    return done == 0 ? absl::OkStatus() : Failed("produce", rd_kafka_last_error());
  }
  absl::Status Flush() override { return absl::OkStatus(); }
  absl::Status Poll(absl::Duration limit, std::vector<Answer>& answers) override {
    // Waiting in rd_kafka_poll would count in milliseconds, and send the next event late.
    pollfd ready{.fd = wake_up_, .events = POLLIN, .revents = 0};
    const timespec time = absl::ToTimespec(limit);
    if (ppoll(&ready, 1, &time, nullptr) > 0) {
      uint64_t count = 0;
      if (read(wake_up_, &count, sizeof count) < 0) return absl::InternalError("kafka: eventfd");
    }
    answers_ = &answers;
    while (rd_kafka_poll(client_.get(), 0) > 0) {
    }
    answers_ = nullptr;
    return absl::OkStatus();
  }

 private:
  static void OnDelivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    auto* const self = static_cast<KafkaPublisher*>(opaque);
    if (self->answers_ == nullptr) return;  // it is being closed
    self->answers_->push_back({.ticket = reinterpret_cast<Ticket>(message->_private),
                               .stored = message->err == RD_KAFKA_RESP_ERR_NO_ERROR,
                               .at = Now()});
  }

  std::vector<Answer>* answers_ = nullptr;  // only within Poll
  int wake_up_ = -1;                        // readable when there are deliveries
  Owned<rd_kafka_t> client_;
  Owned<rd_kafka_queue_t> queue_;
  Owned<rd_kafka_topic_t> topic_;
};

class KafkaPeer final : public Peer {
 public:
  explicit KafkaPeer(const PeerOptions& options) : options_(options) {}

  absl::Status Create() override {
    int partitions = 1;
    if (!absl::SimpleAtoi(options_.Setting("partitions", "6"), &partitions)) {
      return absl::InvalidArgumentError("kafka: partitions is not a number");
    }
    auto client = Open(RD_KAFKA_PRODUCER, {{"bootstrap.servers", Servers()}}, nullptr, nullptr);
    if (!client.ok()) return client.status();
    std::array<char, 512> error{};
    const Owned<rd_kafka_NewTopic_t> topic(rd_kafka_NewTopic_new(
        options_.name.c_str(), partitions, kCopies, error.data(), error.size()));
    if (!topic) return absl::InvalidArgumentError(absl::StrCat("kafka: ", error.data()));
    const Owned<rd_kafka_queue_t> queue(rd_kafka_queue_new(client->get()));
    rd_kafka_NewTopic_t* const topics[] = {topic.get()};
    rd_kafka_CreateTopics(client->get(), const_cast<rd_kafka_NewTopic_t**>(topics), 1, nullptr,
                          queue.get());
    const Owned<rd_kafka_event_t> event(rd_kafka_queue_poll(queue.get(), kCreateMilliseconds));
    if (!event) return absl::DeadlineExceededError("kafka: no answer to the new topic");
    if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return Failed("create the topic", rd_kafka_event_error(event.get()));
    }
    size_t count = 0;
    const auto* results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event.get()), &count);
    const auto outcome =
        count > 0 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
    return outcome == RD_KAFKA_RESP_ERR_NO_ERROR ? absl::OkStatus()
                                                 : Failed("create the topic", outcome);
  }

  absl::StatusOr<std::unique_ptr<Publisher>> Connect(uint32_t, size_t) override {
    auto out = std::make_unique<KafkaPublisher>();
    const absl::Status status =
        out->Start({{"bootstrap.servers", Servers()},
                    {"acks", "all"},
                    {"enable.idempotence", "true"},
                    {"message.timeout.ms", "300000"},
                    {"socket.nagle.disable", "true"},
                    {"linger.ms", options_.Setting("linger_ms", "2")},
                    {"compression.type", options_.Setting("codec", "zstd")}},
                   options_.name);
    if (!status.ok()) return status;
    return out;
  }

  absl::StatusOr<std::string> Leader() override {
    auto client = Open(RD_KAFKA_PRODUCER, {{"bootstrap.servers", Servers()}}, nullptr, nullptr);
    if (!client.ok()) return client.status();
    const Owned<rd_kafka_topic_t> topic(
        rd_kafka_topic_new(client->get(), options_.name.c_str(), nullptr));
    const rd_kafka_metadata_t* found = nullptr;
    const auto error =
        rd_kafka_metadata(client->get(), 0, topic.get(), &found, kMetadataMilliseconds);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed("look at the topic", error);
    const Owned<const rd_kafka_metadata_t> owned(found);
    if (found->topic_cnt == 0 || found->topics[0].partition_cnt == 0 ||
        found->topics[0].partitions[0].leader < 0) {
      return absl::UnavailableError("kafka: the topic has no leader");
    }
    return absl::StrCat(found->topics[0].partitions[0].leader);
  }

  absl::Status ReadBack(const std::function<void(std::string_view)>& show) override {
    auto client = Open(RD_KAFKA_CONSUMER,
                       {{"bootstrap.servers", Servers()},
                        {"group.id", "read-back"},
                        {"auto.offset.reset", "earliest"},
                        {"enable.auto.commit", "false"}},
                       nullptr, nullptr);
    if (!client.ok()) return client.status();
    rd_kafka_poll_set_consumer(client->get());
    const Owned<rd_kafka_topic_partition_list_t> all(rd_kafka_topic_partition_list_new(1));
    int partitions = 1;
    if (!absl::SimpleAtoi(options_.Setting("partitions", "6"), &partitions)) partitions = 1;
    for (int i = 0; i < partitions; ++i) {
      rd_kafka_topic_partition_list_add(all.get(), options_.name.c_str(), i)->offset =
          RD_KAFKA_OFFSET_BEGINNING;
    }
    const auto error = rd_kafka_assign(client->get(), all.get());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed("assign", error);
    bool any = false;
    // The first one may take long: connections, and an election.
    while (const Owned<rd_kafka_message_t> message{
        rd_kafka_consumer_poll(client->get(), any ? kReadMilliseconds : 10 * kReadMilliseconds)}) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;  // it goes on by itself
      any = true;
      show({static_cast<const char*>(message->payload), message->len});
    }
    rd_kafka_consumer_close(client->get());
    return absl::OkStatus();
  }
  absl::Duration answer_limit() const override { return absl::InfiniteDuration(); }

 private:
  std::string Servers() const { return absl::StrJoin(options_.addresses, ","); }

  const PeerOptions options_;
};

}  // namespace

std::unique_ptr<Peer> MakePeer(const PeerOptions& options) {
  return std::make_unique<KafkaPeer>(options);
}

}  // namespace forebay::compare
