#include "client/grpc_ingest_link.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/block_stream.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "rpc/grpc_channel.h"
#include "rpc/unary_request.h"
#include "wire/ingest_wire.h"
#include "wire/protocol_version.h"
#include "wire/status_wire.h"

namespace forebay {

// Confined to `home`, except for what arrives from gRPC, which posts there first.
class GrpcIngestLink::Impl {
 public:
  Impl(Executor& home, GrpcIngestLinkOptions options) : home_(home), options_(std::move(options)) {}

  void Describe(const StreamId& stream, RoutesDone done) {
    auto question = std::make_shared<Question>();
    question->stream = stream;
    question->done = std::move(done);
    if (options_.local.has_value()) {
      DescribeLocally(std::move(question));
      return;
    }
    ChooseWhomToAsk(*question);
    AskNext(std::move(question));
  }

  void SendBlock(const NodeId& node, const PartitionId& partition, Block block, AppendDone done) {
    if (options_.local.has_value() && node == options_.local->self) {
      options_.local->append(partition, std::move(block), Bring<AppendResult>(std::move(done)));
      return;
    }
    const std::string address = AddressOf(node);
    if (address.empty()) {
      AppendResult result;
      result.outcome = Outcome::kNotStored;
      result.partition = partition;
      result.status = UnknownNode(node);
      Later(std::move(done), std::move(result));
      return;
    }
    std::shared_ptr<BlockStream>& stream = streams_[address];
    if (stream == nullptr || stream->broken()) {
      stream = CallsInFlight::Track(in_flight_, new BlockStream(options_.unanswered_bytes_max));
      stream->Begin([&](grpc::ClientContext* context, auto* reactor) {
        StubOf(address).async()->AppendBlocks(context, reactor);
      });
    }
    stream->Send(partition, std::move(block), Bring<AppendResult>(std::move(done)));
    WakeSoon(stream);
  }

  void AskToTakeOver(const NodeId& node, const PartitionId& partition, Epoch epoch, Done done) {
    if (options_.local.has_value() && node == options_.local->self) {
      options_.local->take_over(partition, epoch, Bring<absl::Status>(std::move(done)));
      return;
    }
    const std::string address = AddressOf(node);
    if (address.empty()) {
      Later(std::move(done), UnknownNode(node));
      return;
    }
    v1::TakeOverRequest request;
    request.set_stream(partition.stream.value());
    request.set_partition(partition.index);
    request.set_seen_epoch(epoch.value());
    auto call = UnaryRequest<v1::TakeOverRequest, v1::TakeOverResponse>::Make(in_flight_,
                                                                              std::move(request));
    call->Begin(
        options_.take_over_limit,
        [&](auto*... arguments) { StubOf(address).async()->TakeOver(arguments...); },
        [bring = Bring<absl::Status>(std::move(done))](
            absl::Status status, v1::TakeOverResponse&) mutable { bring(std::move(status)); });
  }

  void Close() {
    *closed_ = true;
    streams_.clear();
    in_flight_->CancelAndWait();
    stubs_.clear();
  }

 private:
  // One Describe, on its way from node to node.
  struct Question {
    StreamId stream;
    RoutesDone done;
    std::vector<std::string> addresses;  // still to ask, the next one last
    absl::Status last = absl::UnavailableError("no node to ask is known");
  };

  // Once for all blocks that are sent in a row.
  void WakeSoon(const std::shared_ptr<BlockStream>& stream) {
    to_wake_.insert(stream);
    if (to_wake_.size() > 1) return;
    home_.Post([this, closed = closed_] {
      if (*closed) return;
      for (const auto& waiting : std::exchange(to_wake_, {})) waiting->Wake();
    });
  }

  // A callback that brings its result to `home`, and is dropped when the link has gone.
  template <typename Result, typename Callback>
  absl::AnyInvocable<void(Result)> Bring(Callback done) {
    return [&home = home_, closed = closed_,
            done = std::make_shared<Callback>(std::move(done))](Result result) {
      home.Post([closed, done, result = std::move(result)]() mutable {
        if (!*closed) (*done)(std::move(result));
      });
    };
  }
  // Never inside the call that asked.
  template <typename Callback, typename Result>
  void Later(Callback done, Result result) {
    Bring<Result>(std::move(done))(std::move(result));
  }

  void DescribeLocally(std::shared_ptr<Question> question) {
    forebay::Describe(*options_.local, question->stream,
                      Bring<absl::StatusOr<StreamDescription>>(
                          [this, question](absl::StatusOr<StreamDescription> description) {
                            if (description.ok()) {
                              Learn(*description);
                              question->done(std::move(description->routes));
                              return;
                            }
                            question->last = description.status();
                            ChooseWhomToAsk(*question);
                            AskNext(question);
                          }));
  }

  // Seeds first, then every node we have heard of; each time starting with the next of them.
  void ChooseWhomToAsk(Question& question) {
    std::vector<std::string>& addresses = question.addresses;
    addresses = options_.seeds;
    for (const auto& [node, address] : addresses_) {
      const bool is_self = options_.local.has_value() && node == options_.local->self;
      const bool is_seed =
          std::find(addresses.begin(), addresses.end(), address) != addresses.end();
      if (!is_self && !is_seed) addresses.push_back(address);
    }
    if (addresses.empty()) return;
    const size_t start = turn_++ % addresses.size();
    std::rotate(addresses.begin(), addresses.begin() + static_cast<std::ptrdiff_t>(start),
                addresses.end());
    // One that did not answer the last time costs a whole attempt: it comes last.
    std::stable_partition(addresses.begin(), addresses.end(),
                          [&](const std::string& address) { return !silent_.contains(address); });
    std::reverse(addresses.begin(), addresses.end());
  }

  void AskNext(std::shared_ptr<Question> question) {
    if (question->addresses.empty()) {
      Later(std::move(question->done), absl::StatusOr<StreamRoutes>(question->last));
      return;
    }
    const std::string address = question->addresses.back();
    question->addresses.pop_back();
    v1::DescribeRequest request;
    request.set_stream(question->stream.value());
    request.set_protocol_version(kProtocolVersion);
    using Answer = absl::StatusOr<StreamDescription>;
    auto bring = Bring<Answer>([this, question, address](Answer answer) {
      OnAnswer(question, address, std::move(answer));
    });
    auto call = UnaryRequest<v1::DescribeRequest, v1::DescribeResponse>::Make(in_flight_,
                                                                              std::move(request));
    call->Begin(
        options_.describe_attempt,
        [&](auto*... arguments) { StubOf(address).async()->Describe(arguments...); },
        [bring = std::move(bring)](absl::Status status, v1::DescribeResponse& response) mutable {
          bring(status.ok() ? Answer(FromWire(response)) : Answer(std::move(status)));
        });
  }

  void OnAnswer(const std::shared_ptr<Question>& question, const std::string& address,
                absl::StatusOr<StreamDescription> answer) {
    if (answer.ok()) {
      silent_.erase(address);
      Learn(*answer);
      question->done(std::move(answer->routes));
      return;
    }
    // These are about the question, whoever is asked.
    const bool is_final = answer.status().code() == absl::StatusCode::kNotFound ||
                          answer.status().code() == absl::StatusCode::kFailedPrecondition ||
                          IsAccessRefused(answer.status());
    absl::Status status = answer.status();
    if (status.code() == absl::StatusCode::kDeadlineExceeded) {
      status = absl::UnavailableError(
          absl::StrCat("no answer within ", absl::FormatDuration(options_.describe_attempt)));
    }
    question->last = WithContext(status, "node at ", address);
    if (is_final) {
      question->done(question->last);
    } else {
      silent_.insert(address);
      AskNext(question);
    }
  }

  void Learn(const StreamDescription& description) {
    for (const NodeStatus& node : description.nodes) {
      if (!node.record.address.empty()) addresses_[node.record.id] = node.record.address;
    }
    // Of nodes that have moved elsewhere.
    std::erase_if(streams_, [&](const auto& entry) {
      return entry.second->broken() && !IsInUse(entry.first);
    });
    std::erase_if(stubs_, [&](const auto& entry) {
      return !streams_.contains(entry.first) && !IsInUse(entry.first);
    });
    std::erase_if(silent_, [&](const std::string& address) { return !IsInUse(address); });
  }

  bool IsInUse(const std::string& address) const {
    const auto is_it = [&](const auto& entry) { return entry.second == address; };
    return std::find(options_.seeds.begin(), options_.seeds.end(), address) !=
               options_.seeds.end() ||
           std::any_of(addresses_.begin(), addresses_.end(), is_it) ||
           std::any_of(options_.dial_instead.begin(), options_.dial_instead.end(), is_it);
  }

  std::string AddressOf(const NodeId& node) {
    const auto other = options_.dial_instead.find(node);
    if (other != options_.dial_instead.end()) return other->second;
    const auto found = addresses_.find(node);
    return found == addresses_.end() ? std::string() : found->second;
  }
  static absl::Status UnknownNode(const NodeId& node) {
    return WithRetryAfter(absl::UnavailableError(absl::StrCat("the address of node '", node.value(),
                                                              "' is not known yet")),
                          absl::Milliseconds(50));
  }

  v1::Ingest::Stub& StubOf(const std::string& address) {
    std::unique_ptr<v1::Ingest::Stub>& stub = stubs_[address];
    if (stub == nullptr) stub = v1::Ingest::NewStub(Dial(address, options_.credentials.get()));
    return *stub;
  }

  Executor& home_;
  const GrpcIngestLinkOptions options_;
  // Shared with results on their way to `home`; read and written there only.
  const std::shared_ptr<bool> closed_ = std::make_shared<bool>(false);
  // Shared with the calls, which end after they are cancelled.
  const std::shared_ptr<CallsInFlight> in_flight_ = std::make_shared<CallsInFlight>();
  std::map<NodeId, std::string> addresses_;
  std::map<std::string, std::unique_ptr<v1::Ingest::Stub>> stubs_;
  std::map<std::string, std::shared_ptr<BlockStream>> streams_;
  std::set<std::shared_ptr<BlockStream>> to_wake_;
  std::set<std::string> silent_;  // did not answer the last Describe
  size_t turn_ = 0;
};

GrpcIngestLink::GrpcIngestLink(Executor& home, GrpcIngestLinkOptions options)
    : impl_(std::make_unique<Impl>(home, std::move(options))) {}
GrpcIngestLink::~GrpcIngestLink() { impl_->Close(); }
void GrpcIngestLink::Describe(const StreamId& stream, RoutesDone done) {
  impl_->Describe(stream, std::move(done));
}
void GrpcIngestLink::SendBlock(const NodeId& node, const PartitionId& partition, Block block,
                               AppendDone done) {
  impl_->SendBlock(node, partition, std::move(block), std::move(done));
}
void GrpcIngestLink::AskToTakeOver(const NodeId& node, const PartitionId& partition, Epoch epoch,
                                   Done done) {
  impl_->AskToTakeOver(node, partition, epoch, std::move(done));
}

}  // namespace forebay
