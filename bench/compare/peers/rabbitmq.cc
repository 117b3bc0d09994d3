// A RabbitMQ quorum queue or stream over AMQP 0.9.1 (rabbitmq-c), with publisher confirms. Setting:
// queue (quorum or stream).
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

#include <algorithm>
#include <deque>

#include "absl/strings/str_cat.h"
#include "compare/peer.h"

namespace forebay::compare {
namespace {

constexpr amqp_channel_t kChannel = 1;
constexpr int kFrameBytesMax = 131072;
constexpr uint8_t kPersistent = 2;
constexpr absl::Duration kConnectLimit = absl::Seconds(5);
// A queue that shows nothing for so long has been read.
constexpr absl::Duration kReadLimit = absl::Seconds(3);
constexpr uint16_t kReadAhead = 1000;

absl::Status Failed(const std::string& what, int status) {
  return absl::UnavailableError(absl::StrCat("rabbitmq: ", what, ": ", amqp_error_string2(status)));
}

absl::Status Check(const amqp_rpc_reply_t& reply, const char* what) {
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return absl::OkStatus();
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
    return Failed(what, reply.library_error);
  }
  return absl::UnavailableError(absl::StrCat("rabbitmq: ", what, ": refused by the server"));
}

timeval TimevalOf(absl::Duration limit) {
  return absl::ToTimeval(std::max(limit, absl::ZeroDuration()));
}

amqp_bytes_t Bytes(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};  // the library only reads it
}

// Of an argument table; the text must live as long.
amqp_table_entry_t Entry(std::string_view key, std::string_view value) {
  amqp_table_entry_t entry{};
  entry.key = Bytes(key);
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = Bytes(value);
  return entry;
}

struct Close {
  void operator()(amqp_connection_state_t connection) const { amqp_destroy_connection(connection); }
};
using Connection = std::unique_ptr<amqp_connection_state_t_, Close>;

absl::StatusOr<Connection> Open(const std::string& address) {
  const HostPort node = Split(address);
  Connection connection(amqp_new_connection());
  amqp_socket_t* socket = amqp_tcp_socket_new(connection.get());
  timeval limit = TimevalOf(kConnectLimit);
  const int status = amqp_socket_open_noblock(socket, node.host.c_str(), node.port, &limit);
  if (status != AMQP_STATUS_OK) return Failed("connect to " + address, status);
  amqp_set_handshake_timeout(connection.get(), &limit);
  absl::Status done = Check(amqp_login(connection.get(), "/", 0, kFrameBytesMax, 0,
                                       AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
                            "log in");
  if (!done.ok()) return done;
  amqp_channel_open(connection.get(), kChannel);
  done = Check(amqp_get_rpc_reply(connection.get()), "open a channel");
  if (!done.ok()) return done;
  return connection;
}

class RabbitPublisher final : public Publisher {
 public:
  RabbitPublisher(Connection connection, std::string queue)
      : connection_(std::move(connection)), queue_(std::move(queue)) {}

  absl::Status Send(Ticket ticket, std::string_view event) override {
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.delivery_mode = kPersistent;
    // Deliveries are numbered from 1 in the order of their publishing.
    tickets_.push_back({.ticket = ticket, .settled = false});
    const int status = amqp_basic_publish(connection_.get(), kChannel, amqp_empty_bytes,
                                          Bytes(queue_), 0, 0, &properties, Bytes(event));
    return status == AMQP_STATUS_OK ? absl::OkStatus() : Failed("publish", status);
  }
  absl::Status Flush() override { return absl::OkStatus(); }

  absl::Status Poll(absl::Duration limit, std::vector<Answer>& answers) override {
    timeval wait = TimevalOf(limit);
    while (true) {
      amqp_frame_t frame;
      const int status = amqp_simple_wait_frame_noblock(connection_.get(), &frame, &wait);
      if (status == AMQP_STATUS_TIMEOUT) break;
      if (status != AMQP_STATUS_OK) return Failed("wait", status);
      if (const absl::Status taken = Take(frame, answers); !taken.ok()) return taken;
      wait = {};  // only what is there already
    }
    amqp_maybe_release_buffers(connection_.get());
    return absl::OkStatus();
  }

 private:
  struct Sent {
    Ticket ticket = 0;
    bool settled = false;
  };

  absl::Status Take(const amqp_frame_t& frame, std::vector<Answer>& answers) {
    if (frame.frame_type != AMQP_FRAME_METHOD) return absl::OkStatus();
    const amqp_method_t& method = frame.payload.method;
    if (method.id == AMQP_BASIC_ACK_METHOD) {
      const auto* ack = static_cast<const amqp_basic_ack_t*>(method.decoded);
      Settle({ack->delivery_tag, ack->multiple != 0, true}, answers);
    } else if (method.id == AMQP_BASIC_NACK_METHOD) {
      const auto* nack = static_cast<const amqp_basic_nack_t*>(method.decoded);
      Settle({nack->delivery_tag, nack->multiple != 0, false}, answers);
    } else if (method.id == AMQP_CHANNEL_CLOSE_METHOD ||
               method.id == AMQP_CONNECTION_CLOSE_METHOD) {
      return absl::UnavailableError("rabbitmq: closed by the server");
    }
    return absl::OkStatus();
  }

  struct Confirm {
    uint64_t tag = 0;
    bool up_to = false;  // all before it as well
    bool stored = false;
  };
  void Settle(const Confirm& confirm, std::vector<Answer>& answers) {
    const Instant now = Now();
    const uint64_t begin = confirm.up_to ? first_tag_ : confirm.tag;
    for (uint64_t tag = std::max(begin, first_tag_); tag <= confirm.tag; ++tag) {
      if (tag - first_tag_ >= tickets_.size()) break;
      Sent& sent = tickets_[tag - first_tag_];
      if (sent.settled) continue;
      sent.settled = true;
      answers.push_back({.ticket = sent.ticket, .stored = confirm.stored, .at = now});
    }
    while (!tickets_.empty() && tickets_.front().settled) {
      tickets_.pop_front();
      ++first_tag_;
    }
  }

  const Connection connection_;
  const std::string queue_;
  std::deque<Sent> tickets_;
  uint64_t first_tag_ = 1;  // of the first in tickets_
};

class RabbitPeer final : public Peer {
 public:
  explicit RabbitPeer(const PeerOptions& options)
      : options_(options), queue_type_(options.Setting("queue", "quorum")) {}

  absl::Status Create() override {
    auto connection = Open(options_.addresses.front());
    if (!connection.ok()) return connection.status();
    amqp_table_entry_t type = Entry("x-queue-type", queue_type_);
    amqp_queue_declare(connection->get(), kChannel, Bytes(options_.name), 0, 1, 0, 0, {1, &type});
    return Check(amqp_get_rpc_reply(connection->get()), "declare the queue");
  }

  absl::StatusOr<std::unique_ptr<Publisher>> Connect(uint32_t, size_t attempt) override {
    auto connection = Open(options_.addresses[attempt % options_.addresses.size()]);
    if (!connection.ok()) return connection.status();
    amqp_confirm_select(connection->get(), kChannel);
    const absl::Status confirms = Check(amqp_get_rpc_reply(connection->get()), "ask for confirms");
    if (!confirms.ok()) return confirms;
    return std::make_unique<RabbitPublisher>(*std::move(connection), options_.name);
  }

  absl::Status ReadBack(const std::function<void(std::string_view)>& show) override {
    auto opened = Open(options_.addresses.front());
    if (!opened.ok()) return opened.status();
    amqp_connection_state_t connection = opened->get();
    amqp_basic_qos(connection, kChannel, 0, kReadAhead, 0);
    amqp_table_entry_t start = Entry("x-stream-offset", "first");
    amqp_basic_consume(connection, kChannel, Bytes(options_.name), amqp_empty_bytes, 0, 0, 0,
                       queue_type_ == "stream" ? amqp_table_t{1, &start} : amqp_empty_table);
    const absl::Status consumes = Check(amqp_get_rpc_reply(connection), "consume");
    if (!consumes.ok()) return consumes;
    while (true) {
      amqp_maybe_release_buffers(connection);
      amqp_envelope_t envelope;
      timeval limit = TimevalOf(kReadLimit);
      const amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, &limit, 0);
      if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
          reply.library_error == AMQP_STATUS_TIMEOUT) {
        return absl::OkStatus();
      }
      if (const absl::Status status = Check(reply, "read"); !status.ok()) return status;
      show({static_cast<const char*>(envelope.message.body.bytes), envelope.message.body.len});
      const int status = amqp_basic_ack(connection, kChannel, envelope.delivery_tag, 0);
      amqp_destroy_envelope(&envelope);
      if (status != AMQP_STATUS_OK) return Failed("read", status);
    }
  }

 private:
  const PeerOptions options_;
  const std::string queue_type_;
};

}  // namespace

std::unique_ptr<Peer> MakePeer(const PeerOptions& options) {
  return std::make_unique<RabbitPeer>(options);
}

}  // namespace forebay::compare
