// Forebay, over its public client. What is stored is read back from the sink, by the driver.
#include <utility>

#include "absl/strings/str_cat.h"
#include "compare/answer_queue.h"
#include "compare/peer.h"
#include "forebay/client.h"

namespace forebay::compare {
namespace {

class ForebayPublisher final : public Publisher {
 public:
  explicit ForebayPublisher(std::unique_ptr<Client> client) : client_(std::move(client)) {}

  absl::Status Send(Ticket ticket, std::string_view event) override {
    Event out;
    out.payload = std::string(event);
    client_->Append(std::move(out), [ticket, answers = answers_](const AppendResult& result) {
      // An unknown one is repeated by the client itself, for ever.
      answers->Add(ticket, result.outcome == Outcome::kAcknowledged);
    });
    return absl::OkStatus();
  }
  absl::Status Flush() override { return absl::OkStatus(); }
  absl::Status Poll(absl::Duration limit, std::vector<Answer>& answers) override {
    answers_->Take(limit, answers);
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<AnswerQueue> answers_ = std::make_shared<AnswerQueue>();
  const std::unique_ptr<Client> client_;
};

class ForebayPeer final : public Peer {
 public:
  explicit ForebayPeer(const PeerOptions& options) : options_(options) {}

  absl::StatusOr<std::unique_ptr<Publisher>> Connect(uint32_t, size_t) override {
    ClientOptions options;
    options.nodes = options_.addresses;
    options.stream = StreamId(options_.name);
    auto client = Client::Connect(options);
    if (!client.ok()) return client.status();
    return std::make_unique<ForebayPublisher>(*std::move(client));
  }
  absl::Status ReadBack(const std::function<void(std::string_view)>&) override {
    return absl::UnimplementedError("Forebay's events are read back from its sink");
  }
  absl::Duration answer_limit() const override { return absl::InfiniteDuration(); }

 private:
  const PeerOptions options_;
};

}  // namespace

std::unique_ptr<Peer> MakePeer(const PeerOptions& options) {
  return std::make_unique<ForebayPeer>(options);
}

}  // namespace forebay::compare
