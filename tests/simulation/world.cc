#include "simulation/world.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "simulation/describe.h"

namespace forebay {
namespace {

// Within this time after the last fault everything must be well again. Takeovers take seconds; a
// producer or a sink that backed off, and a segment that is repaired after replace_after, longer.
constexpr absl::Duration kHealLimit = absl::Seconds(60);
// Then every client appends so many events more, to any partition, ...
constexpr int kProbes = 20;
// ... which are acknowledged and delivered within this, at the second or third try if a client
// gives up early: its connection may still wait for a message that lingers up to 20 s.
constexpr absl::Duration kProbeLimit = absl::Seconds(25);

}  // namespace

World::Client::Client(World& world, int number, Random random)
    : id(absl::StrCat("client-", number)),
      loop(world.simulation_),
      clock(world.simulation_),
      random(random) {}

World::World(uint64_t seed, const Plan& plan, TraceLine trace)
    : plan_(plan),
      trace_(std::move(trace)),
      random_(seed),
      metadata_loop_(server_loop_, [this] { LookAtChains(); }),
      metadata_(std::make_shared<MemoryMetadata>(metadata_loop_)),
      watch_(simulation_,
             [this](const PartitionId& partition) { return invariants_->ChainOf(partition); }),
      network_(simulation_, Random(random_.Next())) {
  std::vector<SinkId> sinks;
  for (int i = 0; i < plan_.sinks; i++) sinks.push_back(SinkId(absl::StrCat("sink-", i)));
  auto disk_of = [this](const NodeId& id) -> const MemoryDisk& {
    for (const auto& node : nodes_) {
      if (node->id() == id) return node->disk();
    }
    static const MemoryDisk* const kNone = new MemoryDisk();
    return *kNone;
  };
  invariants_ = std::make_unique<Invariants>(
      *metadata_, disk_of, std::map<StreamId, StreamOptions>{{plan_.stream.name, plan_.stream}},
      sinks);
  database_ = std::make_unique<SimDatabase>(simulation_, Random(random_.Next()), *invariants_);
  MakeNodes();
  MakeClients();
  SetLinks();
  WatchNetwork();
  if (plan_.stray_every == absl::InfiniteDuration()) return;
  const SimWorldParts parts{simulation_,  network_, metadata_,         *database_,
                            *invariants_, watch_,   /*undecodable=*/{}};
  stray_ = std::make_unique<Stray>(*this, Random(seed + 19), parts, Nodes());
}

World::Stray::Stray(World& world, Random random, SimWorldParts parts, std::vector<SimNode*> nodes)
    : loop(world.simulation_),
      random(random),
      link(parts, loop, Random(this->random.Next()), NodeId("stray"), std::move(nodes)) {}

// While all are still there: the invariants look at every node's disk.
World::~World() {
  for (const auto& node : nodes_) {
    if (node->running()) node->Kill();
  }
}

void World::Note(const std::string& line) {
  if (!trace_) return;
  trace_(absl::StrCat(absl::FormatDuration(simulation_.Now() - start_), " ", line));
}

std::vector<NodeId> World::AllIds() const {
  std::vector<NodeId> ids;
  for (int zone = 0; zone < plan_.zones; zone++) {
    for (int i = 0; i < plan_.nodes_per_zone; i++) {
      ids.push_back(NodeId(absl::StrCat(std::string(1, static_cast<char>('a' + zone)), i + 1)));
    }
  }
  return ids;
}

SimWorldParts World::Parts() {
  return {simulation_,
          network_,
          metadata_,
          *database_,
          *invariants_,
          watch_,
          [this](const PartitionId& partition, const SetAsideBlock& block) {
            OnUndecodable(partition, block);
          }};
}

void World::MakeNodes() {
  const SimWorldParts parts = Parts();
  for (const NodeId& id : AllIds()) {
    SimNodeOptions options;
    options.id = id;
    options.zone = ZoneId(id.value().substr(0, 1));
    options.replicator.streams = {plan_.stream};
    options.replicator.segment = plan_.segment;
    options.replicator.liveness = plan_.liveness;
    options.replicator.disk.scrub_every = absl::Seconds(2);
    options.replicator.window_bytes = 256 << 10;
    options.replicator.mirror_window_bytes = 32 << 10;
    for (int i = 0; i < plan_.sinks; i++) {
      options.sinks.push_back(SinkId(absl::StrCat("sink-", i)));
    }
    options.stream = plan_.stream.name;
    options.peers = AllIds();
    options.keep_after_delivery = plan_.keep_after_delivery;
    options.sync_min = plan_.sync_min;
    options.sync_max = plan_.sync_max;
    options.store_failed = [this, index = nodes_.size()] { OnStoreFailed(*nodes_[index]); };
    nodes_.push_back(std::make_unique<SimNode>(parts, Random(random_.Next()), std::move(options)));
    nodes_.back()->SetMetadataFaults(plan_.metadata);
    nodes_.back()->SetPreviousVersion(plan_.previous_version);
  }
}

void World::MakeClients() {
  const SimWorldParts parts = Parts();
  std::vector<SimNode*> nodes;
  for (const auto& node : nodes_) nodes.push_back(node.get());
  for (int i = 0; i < plan_.producers; i++) {
    clients_.push_back(std::make_unique<Client>(*this, i, Random(random_.Next())));
    Client& client = *clients_.back();
    client.link = std::make_unique<SimIngestLink>(parts, client.loop, Random(random_.Next()),
                                                  client.id, nodes);
  }
}

void World::SetLinks() {
  std::vector<NodeId> ids = AllIds();
  for (const NodeId& from : ids) {
    for (const NodeId& to : ids) {
      if (from != to) network_.SetFaults(from, to, plan_.link);
    }
    for (const auto& client : clients_) {
      network_.SetFaults(client->id, from, plan_.client_link);
      network_.SetFaults(from, client->id, plan_.client_link);
    }
  }
  database_->SetFaults(plan_.sink);
}

void World::WatchNetwork() {
  network_.Observe(
      [this](const char* what, const NodeId& from, const NodeId& to, const Message& message) {
        if (std::holds_alternative<Heartbeat>(message)) return;
        if (std::string_view(what) == kSent) return watch_.OnSent(from, to, message);
        if (!trace_) return;
        Note(absl::StrCat(from.value(), " -> ", to.value(), " ", what, ": ", Describe(message)));
      });
}

void World::LookAtChains() {
  const uint64_t swaps = invariants_->chains().swaps;
  invariants_->OnMetadata();
  if (!trace_ || invariants_->chains().swaps == swaps) return;
  for (uint32_t i = 0; i < plan_.stream.partitions; i++) {
    const PartitionId partition{plan_.stream.name, i};
    Note(absl::StrCat("chain ", partition.ToString(), ": ",
                      Describe(*invariants_->ChainOf(partition))));
  }
}

void World::Start() {
  for (size_t i = 0; i + static_cast<size_t>(plan_.late_nodes) < nodes_.size(); i++) {
    nodes_[i]->Start();
  }
  for (const auto& client : clients_) {
    StartProducer(*client);
    AppendLater(*client);
  }
  if (stray_ != nullptr) StrayLater();
}

void World::StrayLater() {
  stray_->loop.PostAfter(stray_->random.Between(absl::ZeroDuration(), 2 * plan_.stray_every),
                         [this] {
                           SendStray();
                           StrayLater();
                         });
}

// Often of the last blocks, as a client does whose connection broke, and often to the owner.
void World::SendStray() {
  constexpr int kClockJumpsMax = 6;  // of two hours at most; after a day a producer is forgotten
  constexpr uint64_t kLast = 40;
  const auto& blocks = invariants_->acknowledged_blocks();
  if (blocks.empty() || faults_done_[Fault::kClockJump] > kClockJumpsMax) return;
  Random& random = stray_->random;
  const uint64_t back =
      random.Below(random.Chance(0.5) ? std::min<uint64_t>(kLast, blocks.size()) : blocks.size());
  const auto [partition, block] = blocks[blocks.size() - 1 - back];
  const SimNode* owner = Owner(partition.index);
  const NodeId to = owner != nullptr && random.Chance(0.5)
                        ? owner->id()
                        : nodes_[random.Below(nodes_.size())]->id();
  if (!random.Chance(0.2)) return stray_->link.SendBlock(to, partition, block, [](auto) {});
  std::vector<Event> others(block.event_count());
  AppendResult unknown;
  unknown.status = absl::DeadlineExceededError("nobody waits for it");
  for (Event& event : others) {
    const EventNumber number = invariants_->AddEvent(producers_++, /*reuses=*/true);
    event.id = EventId(number);
    invariants_->OnOutcome(number, unknown);
  }
  stray_->link.SendBlock(to, partition, *EncodeBlock(block.stamp(), others, Codec::kNone),
                         [](auto) {});
}

void World::StartProducer(Client& client) {
  client.producer_number = producers_++;
  ProducerOptions options;
  options.stream = plan_.stream.name;
  options.batch.block_bytes_max = plan_.block_bytes_max;
  options.batch.give_up_after = plan_.give_up_after;
  client.producer = std::make_unique<Producer>(
      client.clock, client.loop, Random(client.random.Next()), *client.link, std::move(options));
}

// Nobody will ever know what became of the events that waited.
void World::CrashClient(Client& client) {
  client.producer.reset();
  AppendResult unknown;
  unknown.status = absl::DeadlineExceededError("the client crashed");
  for (const EventNumber number : std::exchange(client.waiting, {})) {
    invariants_->OnOutcome(number, unknown);
  }
  StartProducer(client);
}

void World::AppendLater(Client& client) {
  absl::Duration wait = client.random.Between(absl::ZeroDuration(), 2 * plan_.append_every);
  if (client.random.Chance(plan_.pause)) {
    wait = client.random.Between(absl::Seconds(1), absl::Seconds(15));
  }
  client.loop.PostAfter(wait, [this, &client] {
    if (!appending_) return;
    for (uint64_t i = 0; i <= client.random.Below(8); i++) AppendOne(client);
    AppendLater(client);
  });
}

void World::AppendOne(Client& client) {
  const EventNumber event_number = invariants_->AddEvent(client.producer_number);
  Event event;
  event.id = EventId(event_number);
  event.time = simulation_.Now();
  if (client.random.Chance(0.5)) event.key = absl::StrCat("k", client.random.Below(10));
  event.payload.assign(client.random.Below(200), 'x');
  client.waiting.insert(event_number);
  client.producer->Append(std::move(event), [this, event_number,
                                             &client](const AppendResult& result) {
    if (trace_ && result.outcome != Outcome::kAcknowledged) {
      Note(absl::StrCat(EventId(event_number), " outcome: ", result.status.ToString()));
    }
    client.waiting.erase(event_number);
    invariants_->OnOutcome(event_number, result);
    // G2: nobody else has its id, and it does as it is told.
    if (absl::IsFailedPrecondition(result.status)) {
      invariants_->Break("G2", absl::StrCat(EventId(event_number), " is refused for good: ",
                                            std::string(result.status.message())));
    }
    if (result.outcome == Outcome::kAcknowledged) {
      client.longest_gap = std::max(client.longest_gap, simulation_.Now() - client.acknowledged_at);
      client.acknowledged_at = simulation_.Now();
    }
  });
}

SimNode* World::Owner(uint32_t partition) {
  const Chain& chain = *invariants_->ChainOf({plan_.stream.name, partition});
  for (const auto& node : nodes_) {
    if (!chain.segments.empty() && node->running() && node->id() == chain.segments.back().owner) {
      return node.get();
    }
  }
  return nullptr;
}

std::vector<SimNode*> World::Nodes() {
  std::vector<SimNode*> nodes;
  for (const auto& node : nodes_) nodes.push_back(node.get());
  return nodes;
}

void World::CutOff(const NodeId& node, bool cut) {
  std::vector<NodeId> others = AllIds();
  for (const auto& client : clients_) others.push_back(client->id);
  for (const NodeId& other : others) {
    if (other == node) continue;
    if (cut) {
      network_.Cut(node, other);
      network_.Cut(other, node);
    } else {
      network_.Join(node, other);
      network_.Join(other, node);
    }
  }
}

void World::SetAppending(bool appending) {
  if (std::exchange(appending_, appending) || !appending) return;
  for (const auto& client : clients_) AppendLater(*client);
}

absl::Duration World::TakeLongestGap() {
  absl::Duration longest;
  for (const auto& client : clients_) {
    // One that still waits counts too.
    longest = std::max({longest, client->longest_gap, simulation_.Now() - client->acknowledged_at});
    client->longest_gap = absl::ZeroDuration();
    client->acknowledged_at = simulation_.Now();
  }
  return longest;
}

bool World::RunUntil(absl::Time end) {
  while (simulation_.Now() < end && !invariants_->broken()) {
    if (!simulation_.Step()) break;
  }
  return !invariants_->broken();
}

bool World::RunWithFaults() {
  ScheduleFaults();
  return RunUntil(simulation_.Now() + plan_.faults_for);
}

bool World::RunUntilWhole(absl::Duration limit) {
  const absl::Time end = simulation_.Now() + limit;
  while (!MayWipe()) {
    if (simulation_.Now() > end) {
      invariants_->Break("liveness",
                         invariants_->UnderReplicated(static_cast<size_t>(plan_.stream.copies),
                                                      static_cast<size_t>(plan_.zones)));
    }
    if (!RunFor(absl::Milliseconds(100))) return false;
  }
  return true;
}

std::string World::Missing() const {
  std::string missing = invariants_->Unsettled();
  if (missing.empty()) missing = invariants_->Undelivered();
  if (missing.empty()) {
    missing = invariants_->UnderReplicated(static_cast<size_t>(plan_.stream.copies),
                                           static_cast<size_t>(plan_.zones));
  }
  if (missing.empty()) missing = invariants_->Damaged();
  return missing;
}

bool World::RunUntilQuiet() {
  Heal();
  const absl::Time healed_at = simulation_.Now();
  // Traffic goes on for a little while, so that every partition shows that it still works.
  if (!RunUntil(healed_at + absl::Seconds(5))) return false;
  appending_ = false;
  while (true) {
    if (!RunUntil(simulation_.Now() + absl::Milliseconds(200))) return false;
    const std::string missing = Missing();
    if (missing.empty()) break;
    if (simulation_.Now() > healed_at + kHealLimit) {
      invariants_->Break("liveness", absl::StrCat(absl::FormatDuration(kHealLimit),
                                                  " after the last fault ", missing));
      return false;
    }
  }
  healed_in_ = simulation_.Now() - healed_at;
  // What comes late must do no harm either.
  return RunUntil(simulation_.Now() + absl::Seconds(5)) && ProbeEveryPartition();
}

bool World::ProbeEveryPartition() {
  const absl::Time limit = simulation_.Now() + kProbeLimit;
  while (true) {
    const size_t first = invariants_->events().size();
    for (int i = 0; i < kProbes; i++) {
      for (const auto& client : clients_) {
        client->loop.Post([this, &client = *client] { AppendOne(client); });
      }
    }
    std::string missing;
    do {
      if (!RunUntil(simulation_.Now() + absl::Milliseconds(200))) return false;
      missing = Missing();
    } while (!missing.empty() && simulation_.Now() < limit);
    for (size_t i = first; i < invariants_->events().size() && missing.empty(); i++) {
      const EventHistory& event = invariants_->events()[i];
      if (event.outcome == Outcome::kAcknowledged || event.reuses) continue;
      missing = absl::StrCat("event ", i, " is not acknowledged");
    }
    if (missing.empty()) return true;
    if (simulation_.Now() < limit) continue;
    invariants_->Break("liveness", absl::StrCat("long after the last fault ", missing));
    return false;
  }
}

std::string DrainCounter(DrainState state) { return absl::StrCat("drain ", NameOf(state)); }

std::map<std::string, uint64_t> World::Counters() const {
  std::map<std::string, uint64_t> counters;
  counters["events"] = invariants_->events().size();
  counters["acknowledged"] = invariants_->acknowledged();
  counters["delivered"] = invariants_->delivered();
  const ChainCounters& chains = invariants_->chains();
  counters["chain swaps"] = chains.swaps;
  counters["chain takeovers"] = chains.takeovers;
  counters["chain rolls"] = chains.rolls;
  counters["chain repairs"] = chains.repairs;
  counters["chain trims"] = chains.trims;
  for (const auto& client : clients_) {
    const IngestCounters& link = client->link->counters();
    counters["blocks"] += link.blocks;
    counters["blocks not stored"] += link.not_stored;
    counters["blocks unknown"] += link.unknown;
    counters["connections broken"] += link.broken;
    counters["takeovers asked"] += link.take_overs;
    const ProducerStats stats = client->producer->stats();
    counters["outcome unknown"] += stats.unknown_events;
    counters["outcome not stored"] += stats.not_stored_events;
    counters["blocks retried"] += stats.blocks_retried;
  }
  const NetworkCounters& network = network_.counters();
  counters["messages"] = network.sent;
  counters["messages lost"] = network.lost + network.cut;
  counters["messages repeated"] = network.repeated;
  counters["messages reordered"] = network.reordered + network.lingered;
  for (const auto& node : nodes_) {
    const DrainVisits entered = node->DrainStatesEntered();
    for (size_t i = 0; i < entered.size(); i++) {
      counters[DrainCounter(static_cast<DrainState>(i))] += entered[i];
    }
  }
  const SinkCounters& sink = database_->counters();
  counters["sink opened"] = sink.opened;
  counters["sink fenced"] = sink.fenced;
  counters["sink ambiguous"] = sink.ambiguous;
  counters["sink skipped"] = sink.skipped;
  counters["sink passed over"] = sink.passed_over;
  counters["evacuations complete"] = evacuations_;
  counters["heal ms"] = static_cast<uint64_t>(absl::ToInt64Milliseconds(healed_in_));
  for (const auto& [fault, times] : faults_done_) {
    counters[absl::StrCat("fault ", NameOf(fault))] = static_cast<uint64_t>(times);
  }
  return counters;
}

}  // namespace forebay
