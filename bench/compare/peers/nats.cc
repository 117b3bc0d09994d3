// NATS JetStream over the C client: each event is a request, its reply the acknowledgement.
#include <nats/nats.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "compare/answer_queue.h"
#include "compare/peer.h"

namespace forebay::compare {
namespace {

constexpr int64_t kConnectMilliseconds = 1000;

absl::Status Failed(natsStatus status, const char* what) {
  return absl::UnavailableError(absl::StrCat("nats: ", what, ": ", natsStatus_GetText(status)));
}

struct Destroy {
  void operator()(natsOptions* p) const { natsOptions_Destroy(p); }
  void operator()(natsConnection* p) const { natsConnection_Destroy(p); }
  void operator()(natsSubscription* p) const { natsSubscription_Destroy(p); }
  void operator()(natsMsg* p) const { natsMsg_Destroy(p); }
  void operator()(natsInbox* p) const { natsInbox_Destroy(p); }
  void operator()(jsCtx* p) const { jsCtx_Destroy(p); }
  void operator()(jsStreamInfo* p) const { jsStreamInfo_Destroy(p); }
};
using Connection = std::unique_ptr<natsConnection, Destroy>;

absl::StatusOr<Connection> Open(const std::string& address, bool send_at_once) {
  natsOptions* made = nullptr;
  natsStatus status = natsOptions_Create(&made);
  const std::unique_ptr<natsOptions, Destroy> options(made);
  if (status == NATS_OK) status = natsOptions_SetURL(made, ("nats://" + address).c_str());
  if (status == NATS_OK) status = natsOptions_SetTimeout(made, kConnectMilliseconds);
  // The driver connects anew, and sends again what was not answered.
  if (status == NATS_OK) status = natsOptions_SetAllowReconnect(made, false);
  // Otherwise a thread of the client collects for a millisecond.
  if (status == NATS_OK) status = natsOptions_SetSendAsap(made, send_at_once);
  natsConnection* connection = nullptr;
  if (status == NATS_OK) status = natsConnection_Connect(&connection, made);
  if (status != NATS_OK) return Failed(status, "connect");
  return Connection(connection);
}

class NatsPublisher final : public Publisher {
 public:
  NatsPublisher(Connection connection, std::string subject, uint32_t number)
      : connection_(std::move(connection)), subject_(std::move(subject)), number_(number) {}

  absl::Status Start() {
    natsInbox* inbox = nullptr;
    natsStatus status = natsInbox_Create(&inbox);
    if (status != NATS_OK) return Failed(status, "inbox");
    inbox_ = std::unique_ptr<natsInbox, Destroy>(inbox).get();
    natsSubscription* subscription = nullptr;
    status = natsConnection_Subscribe(&subscription, connection_.get(), (inbox_ + ".*").c_str(),
                                      &NatsPublisher::OnReply, answers_.get());
    subscription_.reset(subscription);
    if (status != NATS_OK) return Failed(status, "subscribe");
    // A reply may be on its way to the queue when this object is gone.
    auto kept = std::make_unique<std::shared_ptr<AnswerQueue>>(answers_);
    status = natsSubscription_SetOnCompleteCB(
        subscription, [](void* last) { delete static_cast<std::shared_ptr<AnswerQueue>*>(last); },
        kept.get());
    if (status != NATS_OK) return Failed(status, "subscribe");
    (void)kept.release();
    return absl::OkStatus();
  }

  absl::Status Send(Ticket ticket, std::string_view event) override {
    natsMsg* made = nullptr;
    natsStatus status =
        natsMsg_Create(&made, subject_.c_str(), absl::StrCat(inbox_, ".", ticket).c_str(),
                       event.data(), static_cast<int>(event.size()));
    const std::unique_ptr<natsMsg, Destroy> message(made);
    // By this the stream knows an event that is sent again.
    if (status == NATS_OK) {
      status = natsMsgHeader_Set(made, "Nats-Msg-Id", absl::StrCat(number_, "-", ticket).c_str());
    }
    if (status == NATS_OK) status = natsConnection_PublishMsg(connection_.get(), made);
    return status == NATS_OK ? absl::OkStatus() : Failed(status, "publish");
  }
  absl::Status Flush() override { return absl::OkStatus(); }

  absl::Status Poll(absl::Duration limit, std::vector<Answer>& answers) override {
    answers_->Take(limit, answers);
    return natsConnection_IsClosed(connection_.get())
               ? absl::UnavailableError("nats: the connection was closed")
               : absl::OkStatus();
  }

 private:
  static void OnReply(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
    const std::string_view subject = natsMsg_GetSubject(message);
    const std::string_view body(natsMsg_GetData(message),
                                static_cast<size_t>(natsMsg_GetDataLength(message)));
    Ticket ticket = 0;
    if (absl::SimpleAtoi(std::string(subject.substr(subject.rfind('.') + 1)), &ticket)) {
      // An error also has the name of the stream, but no sequence.
      const bool stored = body.find("\"error\"") == std::string_view::npos &&
                          body.find("\"seq\"") != std::string_view::npos;
      static_cast<AnswerQueue*>(closure)->Add(ticket, stored);
    }
    natsMsg_Destroy(message);
  }

  const std::shared_ptr<AnswerQueue> answers_ = std::make_shared<AnswerQueue>();
  const Connection connection_;
  const std::string subject_;
  const uint32_t number_;
  std::string inbox_;
  std::unique_ptr<natsSubscription, Destroy> subscription_;
};

class NatsPeer final : public Peer {
 public:
  explicit NatsPeer(const PeerOptions& options) : options_(options) {}

  absl::Status Create() override {
    auto connection = Open(options_.addresses.front(), true);
    if (!connection.ok()) return connection.status();
    jsCtx* made = nullptr;
    natsStatus status = natsConnection_JetStream(&made, connection->get(), nullptr);
    const std::unique_ptr<jsCtx, Destroy> jet_stream(made);
    const std::string subjects = options_.name + ".>";
    const char* subject = subjects.c_str();
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = options_.name.c_str();
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Replicas = 3;
    jsStreamInfo* info = nullptr;
    if (status == NATS_OK) status = js_AddStream(&info, made, &config, nullptr, nullptr);
    const std::unique_ptr<jsStreamInfo, Destroy> destroyed(info);
    return status == NATS_OK ? absl::OkStatus() : Failed(status, "create the stream");
  }

  absl::StatusOr<std::unique_ptr<Publisher>> Connect(uint32_t publisher, size_t attempt) override {
    auto connection =
        Open(options_.addresses[attempt % options_.addresses.size()], options_.open_loop);
    if (!connection.ok()) return connection.status();
    auto out = std::make_unique<NatsPublisher>(*std::move(connection), options_.name + ".events",
                                               publisher);
    if (const absl::Status status = out->Start(); !status.ok()) return status;
    return out;
  }

  absl::StatusOr<std::string> Leader() override {
    const absl::StatusOr<Stream> stream = Look();
    if (!stream.ok()) return stream.status();
    const jsClusterInfo* cluster = stream->info->Cluster;
    if (cluster == nullptr || cluster->Leader == nullptr) {
      return absl::UnavailableError("nats: the stream has no leader");
    }
    return std::string(cluster->Leader);
  }

  absl::Status ReadBack(const std::function<void(std::string_view)>& show) override {
    const absl::StatusOr<Stream> stream = Look();
    if (!stream.ok()) return stream.status();
    const jsStreamState& state = stream->info->State;
    for (uint64_t sequence = state.FirstSeq; sequence <= state.LastSeq; ++sequence) {
      natsMsg* message = nullptr;
      const natsStatus status = js_GetMsg(&message, stream->context.get(), options_.name.c_str(),
                                          sequence, nullptr, nullptr);
      if (status == NATS_NOT_FOUND) continue;
      if (status != NATS_OK) return Failed(status, "read");
      const std::unique_ptr<natsMsg, Destroy> owned(message);
      show({natsMsg_GetData(message), static_cast<size_t>(natsMsg_GetDataLength(message))});
    }
    return absl::OkStatus();
  }
  // The stream knows what is sent again, so it may be soon.
  absl::Duration answer_limit() const override { return absl::Seconds(2); }

 private:
  struct Stream {
    Connection connection;
    std::unique_ptr<jsCtx, Destroy> context;
    std::unique_ptr<jsStreamInfo, Destroy> info;
  };
  absl::StatusOr<Stream> Look() const {
    auto connection = Open(options_.addresses.front(), true);
    if (!connection.ok()) return connection.status();
    Stream out;
    out.connection = *std::move(connection);
    jsCtx* context = nullptr;
    natsStatus status = natsConnection_JetStream(&context, out.connection.get(), nullptr);
    out.context.reset(context);
    jsStreamInfo* info = nullptr;
    if (status == NATS_OK) {
      status = js_GetStreamInfo(&info, context, options_.name.c_str(), nullptr, nullptr);
    }
    out.info.reset(info);
    if (status != NATS_OK) return Failed(status, "look at the stream");
    return out;
  }

  const PeerOptions options_;
};

}  // namespace

std::unique_ptr<Peer> MakePeer(const PeerOptions& options) {
  return std::make_unique<NatsPeer>(options);
}

}  // namespace forebay::compare
