#include "client/remote_cluster.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "forebay/v1/admin.grpc.pb.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "rpc/grpc_channel.h"
#include "rpc/unary_request.h"
#include "runtime/log.h"
#include "runtime/mutex.h"
#include "runtime/real_clock.h"
#include "wire/admin_wire.h"
#include "wire/ingest_wire.h"
#include "wire/protocol_version.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

// For one node to describe a stream, before the next one is asked.
constexpr absl::Duration kDescribeAttempt = absl::Seconds(1);
constexpr absl::Duration kTryAgainAfter = absl::Milliseconds(100);

struct NodeStubs {
  NodeStubs(const std::string& address, const Credentials* credentials)
      : channel(Dial(address, credentials)) {}
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::Admin::Stub> admin{v1::Admin::NewStub(channel)};
  const std::unique_ptr<v1::Ingest::Stub> ingest{v1::Ingest::NewStub(channel)};
};

// Whether another node, or the same one later, may do better.
bool MayHelpToAskAgain(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

void Pause(absl::Duration duration) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  never.WaitFor(mutex, duration);
}

}  // namespace

class RemoteCluster::Impl {
 public:
  explicit Impl(RemoteNodes nodes)
      : seeds_(std::move(nodes.addresses)),
        credentials_(Credentials::Load(nodes.tls, /*node=*/{}, nodes.token_file)) {}

  absl::StatusOr<ClusterStatus> Status(absl::Duration limit) {
    FOREBAY_RETURN_IF_ERROR(credentials_.status());
    std::map<std::string, absl::StatusOr<v1::StatusResponse>> answers = AskStatus(seeds_, limit);
    std::map<NodeId, NodeStatus> nodes = NodesIn(answers);
    // The others, as far as somebody has heard of them.
    std::vector<std::string> others;
    for (const auto& [node, status] : nodes) {
      if (status.alive && !Answered(answers, node)) others.push_back(status.record.address);
    }
    answers.merge(AskStatus(others, limit));
    nodes = NodesIn(answers);
    ClusterStatus cluster;
    bool any = false;
    std::map<PartitionId, PartitionStatus> partitions;
    absl::Status last = absl::UnavailableError("no node to ask was given");
    for (const auto& [address, answer] : answers) {
      if (!answer.ok()) {
        last = WithContext(answer.status(), "node at ", address);
        continue;
      }
      any = true;
      for (const auto& partition : answer->partitions()) Merge(FromWire(partition), partitions);
      for (const auto& sink : answer->sinks()) cluster.sinks.push_back(FromWire(sink));
      cluster.stages[NodeId(answer->node())] = StagesIn(*answer);
    }
    if (!any && IsAccessRefused(last)) return last;
    if (!any) return absl::UnavailableError(last.message());
    for (const auto& [node, status] : nodes) {
      cluster.nodes.push_back(status);
      if (!Answered(answers, node)) cluster.silent.emplace_back(node, WhySilent(answers, status));
    }
    for (auto& [id, partition] : partitions) cluster.partitions.push_back(std::move(partition));
    return cluster;
  }

  absl::Status TakeOver(const PartitionId& partition, const NodeId& to, absl::Duration limit) {
    v1::AdminTakeOverRequest request;
    request.set_stream(partition.stream.value());
    request.set_partition(partition.index);
    const auto addresses =
        to.empty() ? absl::StatusOr<std::vector<std::string>>(seeds_) : AddressesOf(to, limit);
    if (!addresses.ok()) return addresses.status();
    return AskInTurn<v1::AdminTakeOverResponse>(
        *addresses, limit, request,
        [](NodeStubs& stubs, auto*... arguments) { stubs.admin->async()->TakeOver(arguments...); });
  }

  absl::Status Move(const PartitionId& partition, const NodeId& to, absl::Duration limit) {
    const auto description = DescribeStream(partition.stream, limit);
    if (!description.ok()) return description.status();
    const auto owner = OwnerAddress(*description, partition);
    if (!owner.ok()) return owner.status();
    v1::MoveRequest request;
    request.set_stream(partition.stream.value());
    request.set_partition(partition.index);
    request.set_to(to.value());
    return AskInTurn<v1::MoveResponse>(
        {*owner}, limit, request,
        [](NodeStubs& stubs, auto*... arguments) { stubs.admin->async()->Move(arguments...); });
  }

  absl::StatusOr<SetAsideBlock> SetAside(const PartitionId& partition, Offset offset,
                                         absl::Duration limit) {
    const auto description = DescribeStream(partition.stream, limit);
    if (!description.ok()) return description.status();
    const auto owner = OwnerAddress(*description, partition);
    if (!owner.ok()) return owner.status();
    v1::SetAsideRequest request;
    request.set_stream(partition.stream.value());
    request.set_partition(partition.index);
    request.set_offset(offset.value());
    v1::SetAsideResponse response;
    FOREBAY_RETURN_IF_ERROR(AskInTurn<v1::SetAsideResponse>(
        {*owner}, limit, request,
        [](NodeStubs& stubs, auto*... arguments) { stubs.admin->async()->SetAside(arguments...); },
        &response));
    return SetAsideBlock{Offset(response.first()), Offset(response.end())};
  }

  absl::Status DrainNode(const NodeId& node, absl::Duration limit) {
    const auto addresses = AddressesOf(node, limit);
    if (!addresses.ok()) return addresses.status();
    v1::DrainNodeRequest request;
    request.set_node(node.value());
    return AskInTurn<v1::DrainNodeResponse>(*addresses, limit, request,
                                            [](NodeStubs& stubs, auto*... arguments) {
                                              stubs.admin->async()->DrainNode(arguments...);
                                            });
  }

  absl::Status SetMaintenance(const MaintenanceRecord& record, absl::Duration limit) {
    v1::SetMaintenanceRequest request;
    ToWire(record, request);
    return AskInTurn<v1::SetMaintenanceResponse>(
        seeds_, limit, request, [](NodeStubs& stubs, auto*... arguments) {
          stubs.admin->async()->SetMaintenance(arguments...);
        });
  }

  absl::Status CreateStream(const StreamOptions& options, absl::Duration limit) {
    v1::CreateStreamRequest request;
    ToWire(options, request);
    return AskInTurn<v1::CreateStreamResponse>(seeds_, limit, request,
                                               [](NodeStubs& stubs, auto*... arguments) {
                                                 stubs.admin->async()->CreateStream(arguments...);
                                               });
  }

  absl::StatusOr<StreamDescription> DescribeStream(const StreamId& stream, absl::Duration limit) {
    v1::DescribeRequest request;
    request.set_stream(stream.value());
    request.set_protocol_version(kProtocolVersion);
    v1::DescribeResponse response;
    const absl::Status status = AskInTurn<v1::DescribeResponse>(
        Rotated(), std::min(limit, kDescribeAttempt), request,
        [](NodeStubs& stubs, auto*... arguments) { stubs.ingest->async()->Describe(arguments...); },
        &response);
    if (!status.ok()) return status;
    StreamDescription description = FromWire(response);
    MutexLock lock(mutex_);
    for (const NodeStatus& node : description.nodes) {
      if (!node.record.address.empty()) known_.insert(node.record.address);
    }
    return description;
  }

  absl::Status Tail(const PartitionId& partition, TailStart start, bool follow,
                    absl::Duration limit,
                    const std::function<bool(absl::Span<const TailedEvent>)>& each) {
    const RealClock clock;
    absl::Time heard_at = clock.Now();
    while (true) {
      const absl::Time before = heard_at;
      absl::Status status = TailOnce(partition, start, follow, limit, [&](const auto& events) {
        heard_at = clock.Now();
        return events.empty() || each(events);
      });
      if (status.ok() || !MayHelpToAskAgain(status)) return status;
      if (clock.Now() - heard_at > limit) return status;
      if (heard_at == before) Pause(std::min(limit, kTryAgainAfter));
    }
  }

 private:
  static absl::StatusOr<std::string> OwnerAddress(const StreamDescription& description,
                                                  const PartitionId& partition) {
    const std::vector<Route>& routes = description.routes.routes;
    if (partition.index >= routes.size()) {
      return absl::NotFoundError(absl::StrCat("stream '", partition.stream.value(), "' has ",
                                              routes.size(), " partitions, there is no ",
                                              partition.ToString()));
    }
    const NodeId& owner = routes[partition.index].owner;
    for (const NodeStatus& node : description.nodes) {
      if (node.record.id == owner) return node.record.address;
    }
    return absl::UnavailableError(absl::StrCat(partition.ToString(), " has no owner yet"));
  }

  // One stream from the owner; moves `start` on. OK: the end, or `each` has had enough.
  absl::Status TailOnce(const PartitionId& partition, TailStart& start, bool follow,
                        absl::Duration limit,
                        const std::function<bool(absl::Span<const TailedEvent>)>& each) {
    const auto description = DescribeStream(partition.stream, limit);
    if (!description.ok()) return description.status();
    const auto owner = OwnerAddress(*description, partition);
    if (!owner.ok()) return owner.status();
    v1::TailRequest request;
    request.set_stream(partition.stream.value());
    request.set_partition(partition.index);
    request.set_follow(follow);
    if (start.offset.has_value()) {
      request.set_offset(start.offset->value());
    } else if (start.at_end) {
      request.set_end(true);
    } else {
      request.set_start(true);
    }
    grpc::ClientContext context;
    const auto reader = StubsOf(*owner)->ingest->Tail(&context, request);
    v1::TailResponse response;
    bool enough = false;
    while (!enough && reader->Read(&response)) {
      std::vector<TailedEvent> events;
      for (v1::TailEvent& event : *response.mutable_events()) {
        events.push_back({Offset(event.offset()), FromWire(*event.mutable_event())});
      }
      start.offset = Offset(response.next_offset());
      for (const v1::OffsetRange& range : response.set_aside()) {
        Log(LogLevel::kWarning,
            absl::StrCat(
                "offsets ", range.first(), " to ", range.end() - 1, " of ", partition.ToString(),
                " are passed over: they cannot be decoded, and an operator has set them aside"));
      }
      enough = !each(events);
    }
    if (enough) context.TryCancel();
    const absl::Status status = FromGrpc(reader->Finish());
    return enough ? absl::OkStatus() : WithContext(status, "tail of ", partition.ToString());
  }

  // Each address's answer; all are asked at once.
  std::map<std::string, absl::StatusOr<v1::StatusResponse>> AskStatus(
      const std::vector<std::string>& addresses, absl::Duration limit) {
    std::map<std::string, absl::StatusOr<v1::StatusResponse>> answers;
    Mutex mutex;
    const auto in_flight = std::make_shared<CallsInFlight>();
    for (const std::string& address : addresses) {
      auto call =
          UnaryRequest<v1::StatusRequest, v1::StatusResponse>::Make(in_flight, v1::StatusRequest());
      const auto stubs = StubsOf(address);
      call->Begin(
          limit, [&](auto*... arguments) { stubs->admin->async()->Status(arguments...); },
          [&, address, stubs](absl::Status status, v1::StatusResponse& response) {
            MutexLock lock(mutex);
            if (status.ok()) {
              answers.insert_or_assign(address, std::move(response));
            } else {
              answers.insert_or_assign(address, std::move(status));
            }
          });
    }
    in_flight->Wait();
    return answers;
  }

  static bool Answered(const std::map<std::string, absl::StatusOr<v1::StatusResponse>>& answers,
                       const NodeId& node) {
    return std::any_of(answers.begin(), answers.end(), [&](const auto& answer) {
      return answer.second.ok() && answer.second->node() == node.value();
    });
  }

  static absl::Status WhySilent(
      const std::map<std::string, absl::StatusOr<v1::StatusResponse>>& answers,
      const NodeStatus& node) {
    const auto found = answers.find(node.record.address);
    if (found != answers.end() && !found->second.ok()) return found->second.status();
    return absl::UnavailableError("no node that was asked hears its heartbeats");
  }

  // What a node says of itself counts more than what others say; alive if anyone hears it.
  static std::map<NodeId, NodeStatus> NodesIn(
      const std::map<std::string, absl::StatusOr<v1::StatusResponse>>& answers) {
    std::map<NodeId, NodeStatus> nodes;
    for (const auto& [address, answer] : answers) {
      if (!answer.ok()) continue;
      for (const v1::NodeState& wire : answer->nodes()) {
        NodeStatus node = FromWire(wire);
        const bool is_itself = answer->node() == wire.node();
        node.alive = node.alive || is_itself;
        const auto [at, is_new] = nodes.emplace(node.record.id, node);
        if (is_new) continue;
        node.alive = node.alive || at->second.alive;
        node.leaving = node.leaving && at->second.leaving;  // all have heard of it
        if (!is_itself) {
          node.record = at->second.record;
          node.scrub = at->second.scrub;
        }
        at->second = node;
      }
    }
    return nodes;
  }

  static void Merge(PartitionStatus status, std::map<PartitionId, PartitionStatus>& partitions) {
    const auto [at, is_new] = partitions.emplace(status.partition, status);
    if (is_new) return;
    const auto rank = [](const PartitionStatus& s) {
      return std::make_pair(s.owned_here, s.chain_version);
    };
    if (rank(status) > rank(at->second)) at->second = std::move(status);
  }

  absl::StatusOr<std::vector<std::string>> AddressesOf(const NodeId& node, absl::Duration limit) {
    const auto answers = AskStatus(seeds_, limit);
    const auto nodes = NodesIn(answers);
    const auto found = nodes.find(node);
    if (found != nodes.end()) return std::vector<std::string>{found->second.record.address};
    std::string names;
    for (const auto& [id, status] : nodes) {
      absl::StrAppend(&names, names.empty() ? "" : ", ", id.value());
    }
    if (names.empty()) return absl::UnavailableError("none of the nodes given answered");
    return absl::NotFoundError(
        absl::StrCat("there is no node '", node.value(), "'; there are ", names));
  }

  // The first answer that settles it.
  template <typename Response, typename Request, typename Call>
  absl::Status AskInTurn(const std::vector<std::string>& addresses, absl::Duration limit,
                         const Request& request, Call call, Response* response = nullptr) {
    FOREBAY_RETURN_IF_ERROR(credentials_.status());
    absl::Status last = absl::UnavailableError("no node to ask was given");
    for (const std::string& address : addresses) {
      const auto stubs = StubsOf(address);
      const auto in_flight = std::make_shared<CallsInFlight>();
      UnaryRequest<Request, Response>::Make(in_flight, request)
          ->Begin(
              limit, [&](auto*... arguments) { call(*stubs, arguments...); },
              [&](absl::Status status, Response& answer) {
                last = std::move(status);
                if (response != nullptr) *response = std::move(answer);
              });
      in_flight->Wait();
      if (last.ok()) return last;
      last = WithContext(last, "node at ", address);
      // Only from a node that surely did nothing does one go on to the next.
      if (last.code() != absl::StatusCode::kUnavailable &&
          last.code() != absl::StatusCode::kDeadlineExceeded) {
        return last;
      }
    }
    return last;
  }

  // Everyone there is to ask, each time starting with the next.
  std::vector<std::string> Rotated() {
    std::vector<std::string> addresses = seeds_;
    MutexLock lock(mutex_);
    for (const std::string& address : known_) {
      if (std::find(seeds_.begin(), seeds_.end(), address) == seeds_.end()) {
        addresses.push_back(address);
      }
    }
    if (addresses.empty()) return addresses;
    std::rotate(addresses.begin(),
                addresses.begin() + static_cast<std::ptrdiff_t>(turn_++ % addresses.size()),
                addresses.end());
    return addresses;
  }

  // Shared with the calls under way.
  std::shared_ptr<NodeStubs> StubsOf(const std::string& address) {
    MutexLock lock(mutex_);
    std::shared_ptr<NodeStubs>& stubs = stubs_[address];
    if (stubs == nullptr) stubs = std::make_shared<NodeStubs>(address, credentials_->get());
    return stubs;
  }

  const std::vector<std::string> seeds_;
  const absl::StatusOr<std::shared_ptr<const Credentials>> credentials_;
  Mutex mutex_;
  std::set<std::string> known_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<NodeStubs>> stubs_ ABSL_GUARDED_BY(mutex_);
  size_t turn_ ABSL_GUARDED_BY(mutex_) = 0;
};

RemoteCluster::RemoteCluster(RemoteNodes nodes) : impl_(std::make_unique<Impl>(std::move(nodes))) {}
RemoteCluster::RemoteCluster(std::vector<std::string> addresses)
    : RemoteCluster(RemoteNodes{.addresses = std::move(addresses), .tls = {}, .token_file = ""}) {}
RemoteCluster::~RemoteCluster() = default;
absl::StatusOr<ClusterStatus> RemoteCluster::Status(absl::Duration limit) {
  return impl_->Status(limit);
}
absl::Status RemoteCluster::TakeOver(const PartitionId& partition, const NodeId& to,
                                     absl::Duration limit) {
  return impl_->TakeOver(partition, to, limit);
}
absl::Status RemoteCluster::Move(const PartitionId& partition, const NodeId& to,
                                 absl::Duration limit) {
  return impl_->Move(partition, to, limit);
}
absl::Status RemoteCluster::DrainNode(const NodeId& node, absl::Duration limit) {
  return impl_->DrainNode(node, limit);
}
absl::StatusOr<SetAsideBlock> RemoteCluster::SetAside(const PartitionId& partition, Offset offset,
                                                      absl::Duration limit) {
  return impl_->SetAside(partition, offset, limit);
}

absl::Status RemoteCluster::SetMaintenance(const MaintenanceRecord& record, absl::Duration limit) {
  return impl_->SetMaintenance(record, limit);
}
absl::Status RemoteCluster::CreateStream(const StreamOptions& options, absl::Duration limit) {
  return impl_->CreateStream(options, limit);
}
absl::StatusOr<uint32_t> RemoteCluster::PartitionCount(const StreamId& stream,
                                                       absl::Duration limit) {
  const auto description = impl_->DescribeStream(stream, limit);
  if (!description.ok()) return description.status();
  return static_cast<uint32_t>(description->routes.routes.size());
}
absl::Status RemoteCluster::Tail(const PartitionId& partition, TailStart start, bool follow,
                                 absl::Duration limit,
                                 const std::function<bool(absl::Span<const TailedEvent>)>& each) {
  return impl_->Tail(partition, start, follow, limit, each);
}

}  // namespace forebay
