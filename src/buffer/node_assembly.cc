#include "buffer/node_assembly.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "buffer/disk_poller.h"
#include "buffer/peer_book.h"
#include "buffer/replicator_backend.h"
#include "buffer/set_aside.h"
#include "buffer/sink_states.h"
#include "client/grpc_ingest_link.h"
#include "drain/dead_letter.h"
#include "drain/drain.h"
#include "metadata/etcd/open_metadata_store.h"
#include "metadata/set_aside.h"
#include "metadata/set_maintenance.h"
#include "metadata/stream_directory.h"
#include "replication/liveness.h"
#include "runtime/handover.h"
#include "runtime/log.h"
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"
#include "server/rpc_server.h"
#include "wal/rocks_wal_store.h"

namespace forebay {
namespace {

constexpr absl::Duration kMetadataLimit = absl::Seconds(10);
constexpr absl::Duration kCloseDeadline = absl::Seconds(10);
// Even when the appends have used up the time to close: a hand-over is what keeps the gap short.
constexpr absl::Duration kHandOverAtLeast = absl::Seconds(1);
constexpr absl::Duration kServerDeadline = absl::Milliseconds(500);
// A unary append, and a dead letter, is told that its outcome is unknown after so long where
// batch.give_up_after is infinite: nobody waits for an answer for ever.
constexpr absl::Duration kServiceGivesUpAfter = absl::Seconds(10);
constexpr size_t kSinkWorkersMax = 8;

uint64_t DrawNumber() {
  Random random = Random::FromSystem();
  uint64_t number = 0;
  while (number == 0) number = random.Next();
  return number;
}

absl::Duration ServiceGivesUpAfter(const BatchOptions& batch) {
  const bool is_set = batch.give_up_after != absl::InfiniteDuration();
  return is_set ? batch.give_up_after : kServiceGivesUpAfter;
}

// Appends for others never wait inside a call, and never share this process's producer identity.
BatchOptions ServiceBatch(BatchOptions batch) {
  batch.producer = ProducerId();
  batch.producer_epoch = 0;
  batch.wait_for_memory = false;
  batch.give_up_after = ServiceGivesUpAfter(batch);
  return batch;
}

}  // namespace

class NodeAssembly::Impl {
 public:
  Impl(BufferOptions options, std::function<void(const absl::Status&)> store_failed)
      : options_(std::move(options)), store_failed_(std::move(store_failed)) {}
  ~Impl() { Close(kCloseDeadline).IgnoreError(); }

  absl::Status Open();
  absl::Status Close(absl::Duration deadline);

  absl::StatusOr<Appender*> AppenderOf(const StreamId& stream) {
    return appenders_->Of(stream);  // its producer learns whether there is such a stream
  }
  void Status(StatusDone done);
  NodeStats stats() const {
    return {.producer = appenders_->stats(),
            .service = service_appenders_->stats(),
            .wal = WalNumbers(),
            .disk = disk_.usage(),
            .scrub = replicator_->Scrub(),
            .stages = replicator_->Stages(),
            .messages = messages_->stats(),
            .heartbeats = heartbeats_->stats(),
            .connections = server_->connections()};
  }

  // Is there anyone to hand over to?
  bool HasPeers() const {
    const std::vector<NodeStatus> nodes = replicator_->Nodes();
    return std::any_of(nodes.begin(), nodes.end(), [this](const NodeStatus& node) {
      return node.alive && node.record.id != self_.id;
    });
  }
  WalStats WalNumbers() const {
    MutexLock lock(mutex_);
    return store_ == nullptr ? last_wal_stats_ : store_->stats();
  }
  Executor& produce_loop() { return produce_loop_; }
  Appenders& appenders() { return *appenders_; }
  Replicator& replicator() { return *replicator_; }
  const std::string& address() const { return self_.address; }

 private:
  absl::Status OpenStores();
  absl::Status Listen();
  absl::Status CreateStreams();
  absl::Status CreateStream(const StreamOptions& stream);
  void StartReplication();
  void MakeDrain();
  DrainPorts PortsOfDrain();
  OwnershipListener Listener();
  RpcBackend Backend();
  void StopParts();

  const BufferOptions options_;
  const std::function<void(const absl::Status&)> store_failed_;
  RealClock clock_;
  NodeRecord self_;

  // The protocol, the store's reads, the heartbeats and the producers each have a thread, so that
  // none waits for another.
  ThreadExecutor loop_{"forebay-loop"};
  ThreadExecutor read_loop_{"forebay-reads"};
  ThreadExecutor heartbeat_loop_{"forebay-alive"};
  ThreadExecutor produce_loop_{"forebay-append"};
  std::vector<std::unique_ptr<ThreadExecutor>> sink_workers_;

  DiskPoller disk_{options_.data_directory};
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<WalStore> store_;                 // replaced under the lock
  std::shared_ptr<const Credentials> credentials_;  // shared by all connections
  std::unique_ptr<GrpcTransport> messages_;
  std::unique_ptr<GrpcTransport> heartbeats_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<StreamDirectory> streams_;
  std::unique_ptr<LivenessMonitor> liveness_;
  std::unique_ptr<Replicator> replicator_;
  std::unique_ptr<PeerBook> peers_;
  std::unique_ptr<GrpcIngestLink> link_;
  std::unique_ptr<Appenders> appenders_;
  std::unique_ptr<Appenders> service_appenders_;
  std::unique_ptr<Drain> drain_;  // on loop_; null without sinks

  mutable Mutex mutex_;
  std::vector<SinkState> sinks_ ABSL_GUARDED_BY(mutex_);  // as of the last Status
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  WalStats last_wal_stats_ ABSL_GUARDED_BY(mutex_);
};

absl::Status NodeAssembly::Impl::Open() {
  FOREBAY_RETURN_IF_ERROR(options_.Validate());
  FOREBAY_RETURN_IF_ERROR(OpenStores());
  FOREBAY_RETURN_IF_ERROR(Listen());
  FOREBAY_RETURN_IF_ERROR(CreateStreams());
  StartReplication();
  server_->Serve(Backend());
  Log(LogLevel::kInfo, absl::StrCat("node ", self_.id.value(), " in zone ", self_.zone.value(),
                                    " serves at ", self_.address));
  return absl::OkStatus();
}

absl::Status NodeAssembly::Impl::OpenStores() {
  absl::StatusOr<std::unique_ptr<MetadataStore>> metadata = OpenMetadataStore(options_.metadata);
  if (!metadata.ok()) return WithContext(metadata.status(), "metadata ", options_.metadata);
  metadata_ = *std::move(metadata);
  absl::StatusOr<std::unique_ptr<RocksWalStore>> store =
      RocksWalStore::Open({.directory = options_.data_directory,
                           .node = options_.node,
                           .new_incarnation = Incarnation(DrawNumber()),
                           .memtable_bytes = options_.memtable_bytes});
  if (!store.ok()) return WithContext(store.status(), "data_directory ", options_.data_directory);
  store_ = *std::move(store);
  return absl::OkStatus();
}

absl::Status NodeAssembly::Impl::Listen() {
  absl::StatusOr<std::shared_ptr<const Credentials>> credentials =
      Credentials::Load(options_.tls, options_.node);
  if (!credentials.ok()) return credentials.status();
  credentials_ = *std::move(credentials);
  GrpcTransportOptions transport;
  transport.credentials = credentials_;
  transport.self = options_.node;
  transport.dial_instead = options_.dial_instead;
  messages_ = std::make_unique<GrpcTransport>(transport);
  transport.lane = PeerLane::kHeartbeats;
  heartbeats_ = std::make_unique<GrpcTransport>(transport);
  RpcServerOptions server;
  server.listen = options_.listen;
  server.dial_instead = options_.dial_instead;
  server.credentials = credentials_;
  server.access = options_.access;
  server.limits = options_.limits;
  server.relay_limit = ServiceGivesUpAfter(options_.batch);
  absl::StatusOr<std::unique_ptr<RpcServer>> listening =
      RpcServer::Listen(std::move(server), *messages_, *heartbeats_);
  if (!listening.ok()) return listening.status();
  server_ = *std::move(listening);
  self_ = {.id = options_.node,
           .zone = options_.zone,
           .address = options_.advertise.empty() ? server_->address() : options_.advertise,
           .incarnation = store_->marker().incarnation,
           .life = ProcessLife(DrawNumber())};
  return absl::OkStatus();
}

absl::Status NodeAssembly::Impl::CreateStreams() {
  streams_ = std::make_unique<StreamDirectory>(*metadata_);
  for (const StreamOptions& stream : options_.streams) {
    FOREBAY_RETURN_IF_ERROR(CreateStream(stream));
  }
  for (const SinkBinding& sink : options_.sinks) {
    const auto of = std::find_if(options_.streams.begin(), options_.streams.end(),
                                 [&](const StreamOptions& s) { return s.name == sink.stream; });
    // As safe as the stream whose poison it keeps.
    StreamOptions dead_letters;
    if (of != options_.streams.end()) {
      dead_letters = *of;
    } else {
      const auto looked_up = Handover<absl::StatusOr<StreamOptions>>::Make();
      streams_->LookUp(sink.stream, [looked_up](absl::StatusOr<StreamOptions> known) {
        looked_up->Give(std::move(known));
      });
      const absl::StatusOr<StreamOptions> known = looked_up->Take();
      if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
      if (known.ok()) dead_letters = *known;
    }
    dead_letters.name = DeadLetterStream(sink.stream);
    dead_letters.partitions = 1;
    FOREBAY_RETURN_IF_ERROR(CreateStream(dead_letters));
  }
  return absl::OkStatus();
}

absl::Status NodeAssembly::Impl::CreateStream(const StreamOptions& stream) {
  const absl::Time end = clock_.Now() + kMetadataLimit;
  while (true) {
    const auto created = Handover<absl::Status>::Make();
    streams_->Create(stream, [created](absl::Status status) { created->Give(std::move(status)); });
    const absl::Status status = created->Take();
    if (absl::IsAlreadyExists(status)) {
      Log(LogLevel::kWarning, absl::StrCat(std::string(status.message()), "; those stay"));
    } else if (!status.ok()) {
      // Unknown outcomes are settled by asking once more.
      if (absl::IsInvalidArgument(status) || clock_.Now() > end) return status;
      continue;
    }
    break;
  }
  // The directory hears of it through its watch, if another process made it.
  while (!streams_->Find(stream.name).has_value()) {
    if (clock_.Now() > end) {
      return absl::UnavailableError(absl::StrCat("the metadata store ", options_.metadata,
                                                 " does not tell of stream '", stream.name.value(),
                                                 "'"));
    }
    Handover<bool>::Make()->TakeWithin(clock_, absl::Milliseconds(5));
  }
  return absl::OkStatus();
}

void NodeAssembly::Impl::StartReplication() {
  ReplicatorOptions options;
  options.self = self_;
  options.segment = options_.segment;
  options.liveness = options_.liveness;
  options.disk = options_.disk;
  options.data_directory = options_.data_directory;
  for (const SinkBinding& sink : options_.sinks) {
    options.essential_streams.insert(DeadLetterStream(sink.stream));
  }
  liveness_ = std::make_unique<LivenessMonitor>(clock_, heartbeat_loop_, *heartbeats_, self_.life,
                                                options_.liveness);
  replicator_ = std::make_unique<Replicator>(
      ReplicatorParts{clock_, loop_, read_loop_, *store_, *metadata_, *messages_, *liveness_},
      Random::FromSystem(), std::move(options));
  liveness_->Start([this](const NodeId& node, ProcessLife life, bool alive) {
    Log(alive ? LogLevel::kInfo : LogLevel::kWarning,
        absl::StrCat("node ", node.value(), alive ? " is there" : " does not answer"));
    replicator_->SetAlive(node, life, alive);
  });
  peers_ = std::make_unique<PeerBook>(self_.id, *heartbeats_, *liveness_);
  peers_->Watch(*metadata_);

  GrpcIngestLinkOptions link;
  link.dial_instead = options_.dial_instead;
  link.local = Backend();
  link.credentials = credentials_;
  link_ = std::make_unique<GrpcIngestLink>(produce_loop_, std::move(link));
  appenders_ =
      std::make_unique<Appenders>(clock_, produce_loop_, *link_, options_.zone, options_.batch);
  service_appenders_ = std::make_unique<Appenders>(clock_, produce_loop_, *link_, options_.zone,
                                                   ServiceBatch(options_.batch));
  if (!options_.sinks.empty()) MakeDrain();
  disk_.Start([this](const DiskUsage& usage) { replicator_->SetDiskUsage(usage); });
  replicator_->Start(Listener());
}

void NodeAssembly::Impl::MakeDrain() {
  std::vector<Executor*> workers;
  const size_t count = std::min(2 * options_.sinks.size(), kSinkWorkersMax);
  for (size_t i = 0; i < count; i++) {
    sink_workers_.push_back(std::make_unique<ThreadExecutor>("forebay-sink"));
    workers.push_back(sink_workers_.back().get());
  }
  drain_ = std::make_unique<Drain>(
      Drain::Runtime{.clock = clock_, .loop = loop_, .workers = std::move(workers)},
      Random::FromSystem(), options_.sinks, PortsOfDrain());
}

DrainPorts NodeAssembly::Impl::PortsOfDrain() {
  DrainPorts ports;
  ports.read = [this](const PartitionId& partition, Offset from, size_t bytes_max,
                      DrainPorts::ReadDone done) {
    replicator_->Read(partition, from, bytes_max, std::move(done));
  };
  ports.set_trim_floor = [this](const PartitionId& partition, Offset floor) {
    replicator_->SetTrimFloor(partition, floor);
  };
  ports.dead_letter = [this](const StreamId& stream, Event event, DrainPorts::Done done) {
    const absl::StatusOr<Appender*> appender = service_appenders_->Of(stream);
    if (!appender.ok()) return done(appender.status());
    // A std::function must be copyable; each done runs once.
    const auto shared = std::make_shared<DrainPorts::Done>(std::move(done));
    (*appender)->Append(std::move(event),
                        [shared](const AppendResult& result) { (*shared)(result.status); });
  };
  ports.is_set_aside = [this](const PartitionId& partition, const BadBlock& bad,
                              DrainPorts::SetAsideDone done) {
    IsSetAside(*metadata_, partition, {bad.first, bad.end, bad.checksum}, std::move(done));
  };
  return ports;
}

OwnershipListener NodeAssembly::Impl::Listener() {
  OwnershipListener listener;
  listener.committed = [this](const PartitionId& partition, Epoch epoch, Offset committed) {
    if (drain_ != nullptr) drain_->OnCommitted(partition, epoch, committed);
  };
  listener.lost = [this](const PartitionId& partition) {
    if (drain_ != nullptr) drain_->OnLost(partition);
  };
  listener.store_failed = [this](const absl::Status& status) {
    if (store_failed_ != nullptr) store_failed_(status);
  };
  return listener;
}

RpcBackend NodeAssembly::Impl::Backend() {
  RpcBackend backend = BackendOf(self_.id, *replicator_);
  backend.stream = [this](const StreamId& stream) { return streams_->Find(stream); };
  backend.look_up_stream = [this](const StreamId& stream, RpcBackend::StreamDone done) {
    streams_->LookUp(stream, std::move(done));
  };
  backend.create_stream = [this](const StreamOptions& stream, RpcBackend::Done done) {
    streams_->Create(stream, std::move(done));
  };
  backend.set_maintenance = [this](MaintenanceRecord record, RpcBackend::Done done) {
    SetMaintenance(*metadata_, std::move(record), std::move(done));
  };
  backend.produce = [this](const StreamId& stream, std::vector<Event> events,
                           RpcBackend::ProduceDone done) {
    const absl::StatusOr<Appender*> appender = service_appenders_->Of(stream);
    if (!appender.ok()) {
      AppendResult refused;
      refused.outcome = Outcome::kNotStored;
      refused.status = appender.status();
      return done(std::vector<AppendResult>(events.size(), refused));
    }
    // A std::function must be copyable; each done runs once.
    const auto shared = std::make_shared<RpcBackend::ProduceDone>(std::move(done));
    (*appender)->Append(std::move(events), [shared](absl::Span<const AppendResult> results) {
      (*shared)(std::vector<AppendResult>(results.begin(), results.end()));
    });
  };
  AddSetAside(*metadata_, produce_loop_, backend);
  // The drain may be asked on the loop only, which is where the status comes.
  backend.status = [this](RpcBackend::StatusDone done) {
    Status(
        [done = std::move(done)](std::vector<PartitionStatus> partitions,
                                 std::vector<SinkState>) mutable { done(std::move(partitions)); });
  };
  backend.sinks = [this] {
    MutexLock lock(mutex_);
    return sinks_;
  };
  return backend;
}

void NodeAssembly::Impl::Status(StatusDone done) {
  replicator_->Status(
      [this, done = std::move(done)](std::vector<PartitionStatus> partitions) mutable {
        std::vector<SinkState> sinks;
        if (drain_ != nullptr) sinks = SinkStatesOf(drain_->Status(), partitions);
        {
          MutexLock lock(mutex_);
          sinks_ = sinks;
        }
        done(std::move(partitions), std::move(sinks));
      });
}

absl::Status NodeAssembly::Impl::Close(absl::Duration deadline) {
  {
    MutexLock lock(mutex_);
    if (closed_) return absl::OkStatus();
    closed_ = true;
  }
  absl::Status status;
  if (replicator_ != nullptr) {
    const absl::Time end = clock_.Now() + deadline;
    status.Update(appenders_->Close(deadline));
    server_->Quiesce();
    const absl::Duration left = std::max(end - clock_.Now(), kHandOverAtLeast);
    const auto handed_over = Handover<absl::Status>::Make();
    replicator_->HandOverAll(
        [handed_over](absl::Status result) { handed_over->Give(std::move(result)); });
    const std::optional<absl::Status> result = handed_over->TakeWithin(clock_, left);
    if (HasPeers() && (!result.has_value() || !result->ok())) {
      Log(LogLevel::kWarning,
          absl::StrCat("closing although not every partition was handed over: ",
                       result.has_value() ? result->ToString() : "no time left"));
    }
  }
  StopParts();
  return status;
}

// Who calls comes before who is called. What is left afterwards only refuses appends.
void NodeAssembly::Impl::StopParts() {
  if (server_ != nullptr) server_->Shutdown(kServerDeadline);
  if (drain_ != nullptr) {
    const auto stopped = Handover<bool>::Make();
    loop_.Post([this, stopped] { drain_->Stop([stopped] { stopped->Give(true); }); });
    stopped->Take();
  }
  if (link_ != nullptr) {
    service_appenders_->Close(absl::ZeroDuration()).IgnoreError();
    // Its callbacks run there.
    const auto gone = Handover<bool>::Make();
    produce_loop_.Post([this, gone] {
      link_.reset();
      gone->Give(true);
    });
    gone->Take();
  }
  disk_.Stop();
  if (replicator_ != nullptr) {
    const auto stopped = Handover<bool>::Make();
    replicator_->Stop([stopped] { stopped->Give(true); });
    stopped->Take();
    peers_->Stop();
    liveness_->Stop();
  }
  if (heartbeats_ != nullptr) heartbeats_->Stop();
  if (messages_ != nullptr) messages_->Stop();
  heartbeat_loop_.Stop();
  // The last callbacks of the store's reads go to the loop.
  read_loop_.Stop();
  loop_.Stop();
  for (const auto& worker : sink_workers_) worker->Stop();
  // The others stay, for who still looks at them; with their loops stopped they do nothing.
  metadata_.reset();
  const WalStats last = store_ == nullptr ? WalStats() : store_->stats();
  MutexLock lock(mutex_);
  last_wal_stats_ = last;
  store_.reset();
}

absl::StatusOr<std::unique_ptr<NodeAssembly>> NodeAssembly::Open(
    BufferOptions options, std::function<void(const absl::Status&)> store_failed) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(store_failed));
  if (absl::Status status = impl->Open(); !status.ok()) return status;
  return std::unique_ptr<NodeAssembly>(new NodeAssembly(std::move(impl)));
}

NodeAssembly::NodeAssembly(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NodeAssembly::~NodeAssembly() = default;

const std::string& NodeAssembly::address() const { return impl_->address(); }
absl::StatusOr<Appender*> NodeAssembly::AppenderOf(const StreamId& stream) {
  return impl_->AppenderOf(stream);
}
void NodeAssembly::Post(Task task) { impl_->produce_loop().Post(std::move(task)); }
absl::Status NodeAssembly::Flush(absl::Duration deadline) {
  return impl_->appenders().Flush(deadline);
}
absl::Status NodeAssembly::Close(absl::Duration deadline) { return impl_->Close(deadline); }
NodeStats NodeAssembly::stats() const { return impl_->stats(); }
std::vector<NodeStatus> NodeAssembly::Nodes() const { return impl_->replicator().Nodes(); }
void NodeAssembly::Status(StatusDone done) { impl_->Status(std::move(done)); }
void NodeAssembly::HandOverAll(absl::AnyInvocable<void(absl::Status)> done) {
  impl_->replicator().HandOverAll(std::move(done));
}

}  // namespace forebay
