// A small world around Drain: a log of blocks that is committed by hand, and nodes that drain it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "drain/drain.h"
#include "support/memory_sink.h"
#include "support/sim_executor.h"

namespace forebay {

inline Event MakeEvent(const std::string& id) {
  Event event;
  event.id = id;
  event.time = absl::FromUnixSeconds(1'700'000'000);
  event.type = "test";
  event.payload = "{\"n\":\"" + id + "\"}";
  return event;
}

// The replicated log as the drain sees it: the same for every node.
struct DrainLog {
  std::vector<StoredBlock> blocks;
  Offset end;
  Offset trimmed;       // reads below are OUT_OF_RANGE
  absl::Status broken;  // reads fail while this is not OK
  uint64_t reads = 0;
  Offset read_end;  // nothing from here on has been read

  // Appends events "0", "1", ... in blocks of `block_events`.
  void Append(uint64_t events, uint64_t block_events = 10) {
    while (events > 0) {
      const uint64_t count = std::min(events, block_events);
      std::vector<Event> batch;
      for (uint64_t i = 0; i < count; i++) {
        batch.push_back(MakeEvent(std::to_string(end.value() + i)));
      }
      Append(batch);
      events -= count;
    }
  }
  void Append(const std::vector<Event>& events) {
    auto block = EncodeBlock(BlockStamp{ProducerId("p"), 0, end.value()}, events, Codec::kNone);
    FOREBAY_CHECK(block.ok(), block.status().ToString());
    blocks.push_back(StoredBlock{end, *block});
    end = blocks.back().end();
  }
  // As Replicator::Read, except that it does not stop at what is committed. A store gives so many
  // blocks in one read (wal_store.h).
  static constexpr size_t kReadBlocksMax = 64;
  absl::StatusOr<std::vector<StoredBlock>> Read(Offset from, size_t bytes_max) {
    reads++;
    if (!broken.ok()) return broken;
    if (from < trimmed) return absl::OutOfRangeError("trimmed");
    std::vector<StoredBlock> out;
    size_t bytes = 0;
    for (const StoredBlock& block : blocks) {
      if (block.end() <= from) continue;
      out.push_back(block);
      bytes += block.block.bytes().size();
      read_end = std::max(read_end, block.end());
      if (bytes > bytes_max || out.size() == kReadBlocksMax) break;
    }
    return out;
  }
};

// One node that drains one partition's log into the given sinks.
class DrainNode {
 public:
  DrainNode(Simulation& simulation, DrainLog& log, std::vector<SinkBinding> sinks,
            uint64_t seed = 1)
      : clock_(simulation),
        log_(log),
        loop(simulation),
        worker_a(simulation),
        worker_b(simulation) {
    DrainPorts ports;
    ports.read = [this](const PartitionId&, Offset from, size_t bytes_max,
                        DrainPorts::ReadDone done) { done(log_.Read(from, bytes_max)); };
    ports.set_trim_floor = [this](const PartitionId&, Offset floor) { floors.push_back(floor); };
    ports.dead_letter = [this](const StreamId& stream, Event event, DrainPorts::Done done) {
      dead_letter_tries++;
      if (dead_letter_stream_is_away) return done(absl::UnavailableError("no owner"));
      dead_letters[stream].push_back(std::move(event));
      done(absl::OkStatus());
    };
    ports.is_set_aside = [this](const PartitionId&, const BadBlock& bad,
                                DrainPorts::SetAsideDone done) {
      asked_to_set_aside.push_back(bad);
      done(set_aside ? set_aside(bad) : false);
    };
    drain = std::make_unique<Drain>(Drain::Runtime{clock_, loop, {&worker_a, &worker_b}},
                                    Random(seed), std::move(sinks), std::move(ports));
  }

  DrainStatus Status(size_t sink = 0) const { return drain->Status().at(sink); }

 private:
  SimClock clock_;
  DrainLog& log_;

 public:
  SimExecutor loop, worker_a, worker_b;
  std::vector<Offset> floors;
  std::map<StreamId, std::vector<Event>> dead_letters;
  bool dead_letter_stream_is_away = false;
  int dead_letter_tries = 0;
  // What an operator has decided; nothing when not set.
  std::function<absl::StatusOr<bool>(const BadBlock&)> set_aside;
  std::vector<BadBlock> asked_to_set_aside;
  std::unique_ptr<Drain> drain;
};

}  // namespace forebay
