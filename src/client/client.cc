// The public Client: a producer that reaches the nodes over gRPC.
#include "forebay/client.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/grpc_ingest_link.h"
#include "producer/appender.h"
#include "runtime/handover.h"
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"

namespace forebay {
namespace {

constexpr absl::Duration kConnectLimit = absl::Seconds(5);
constexpr absl::Duration kConnectRetry = absl::Milliseconds(100);

class RemoteClient final : public Client {
 public:
  RemoteClient(ClientOptions options, std::shared_ptr<const Credentials> credentials)
      : options_(std::move(options)) {
    GrpcIngestLinkOptions link;
    link.seeds = options_.nodes;
    link.credentials = std::move(credentials);
    link_ = std::make_unique<GrpcIngestLink>(loop_, std::move(link));
  }
  ~RemoteClient() override {
    appender_.reset();
    loop_.Stop();
    link_.reset();
  }

  absl::Status Connect() {
    const absl::Time end = clock_.Now() + kConnectLimit;
    absl::Status status = absl::UnavailableError("no node answered");
    for (absl::Duration left = kConnectLimit; left > absl::ZeroDuration();
         left = end - clock_.Now()) {
      const auto described = Handover<absl::Status>::Make();
      loop_.Post([this, described] {
        link_->Describe(options_.stream, [described](const absl::StatusOr<StreamRoutes>& routes) {
          described->Give(routes.status());
        });
      });
      const std::optional<absl::Status> answer = described->TakeWithin(clock_, left);
      if (!answer.has_value()) break;
      status = *answer;
      if (status.ok() || absl::IsNotFound(status) || IsAccessRefused(status)) break;
      Handover<bool>::Make()->TakeWithin(clock_, kConnectRetry);
    }
    if (!status.ok()) return WithContext(status, "connect to ", options_.nodes.front());
    appender_ = std::make_unique<Appender>(
        clock_, loop_, Random::FromSystem(), *link_,
        ProducerOptions{.stream = options_.stream, .zone = options_.zone, .batch = options_.batch});
    return absl::OkStatus();
  }

  void Append(Event event, Done done) override {
    appender_->Append(std::move(event), std::move(done));
  }
  void Append(std::vector<Event> events, ManyDone done) override {
    appender_->Append(std::move(events), std::move(done));
  }
  AppendResult Append(Event event) override { return appender_->Append(std::move(event)); }
  absl::Status Flush(absl::Duration deadline) override { return appender_->Flush(deadline); }
  absl::Status Close(absl::Duration deadline) override { return appender_->Close(deadline); }
  ProducerStats stats() const override { return appender_->stats(); }

 private:
  const ClientOptions options_;
  RealClock clock_;
  ThreadExecutor loop_{"forebay-client"};
  std::unique_ptr<GrpcIngestLink> link_;
  std::unique_ptr<Appender> appender_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(ClientOptions options) {
  FOREBAY_RETURN_IF_ERROR(options.Validate());
  absl::StatusOr<std::shared_ptr<const Credentials>> credentials =
      Credentials::Load(options.tls, /*node=*/{}, options.token_file);
  if (!credentials.ok()) return credentials.status();
  auto client = std::make_unique<RemoteClient>(std::move(options), *std::move(credentials));
  FOREBAY_RETURN_IF_ERROR(client->Connect());
  return client;
}

}  // namespace forebay
