// The public Buffer: a NodeAssembly, and nothing more.
#include "forebay/buffer.h"

#include <utility>

#include "buffer/node_assembly.h"

namespace forebay {
namespace {

AppendResult NotStored(absl::Status status) {
  AppendResult result;
  result.outcome = Outcome::kNotStored;
  result.status = std::move(status);
  return result;
}

class LinkedBuffer final : public Buffer {
 public:
  explicit LinkedBuffer(std::unique_ptr<NodeAssembly> node) : node_(std::move(node)) {}

  void Append(const StreamId& stream, Event event, Done done) override {
    const absl::StatusOr<Appender*> appender = node_->AppenderOf(stream);
    if (appender.ok()) return (*appender)->Append(std::move(event), std::move(done));
    node_->Post([done = std::move(done), status = appender.status()] { done(NotStored(status)); });
  }

  void Append(const StreamId& stream, std::vector<Event> events, ManyDone done) override {
    const absl::StatusOr<Appender*> appender = node_->AppenderOf(stream);
    if (appender.ok()) return (*appender)->Append(std::move(events), std::move(done));
    node_->Post([done = std::move(done), status = appender.status(), count = events.size()] {
      done(std::vector<AppendResult>(count, NotStored(status)));
    });
  }

  AppendResult Append(const StreamId& stream, Event event) override {
    const absl::StatusOr<Appender*> appender = node_->AppenderOf(stream);
    return appender.ok() ? (*appender)->Append(std::move(event)) : NotStored(appender.status());
  }

  absl::Status Flush(absl::Duration deadline) override { return node_->Flush(deadline); }
  absl::Status Close(absl::Duration deadline) override { return node_->Close(deadline); }
  ProducerStats stats() const override { return node_->stats().producer; }
  std::string address() const override { return node_->address(); }

 private:
  const std::unique_ptr<NodeAssembly> node_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Buffer>> Buffer::Open(BufferOptions options) {
  absl::StatusOr<std::unique_ptr<NodeAssembly>> node = NodeAssembly::Open(std::move(options));
  if (!node.ok()) return node.status();
  return std::make_unique<LinkedBuffer>(*std::move(node));
}

}  // namespace forebay
